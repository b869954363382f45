package record

import (
	"bytes"
	"fmt"
	"testing"
)

func TestKinds(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out)
	index := &Index{}
	for _, err := range []error{
		w.Add(&Record{Body: &Record_Header{&Header{Arch: "amd64"}}}, nil),
		w.Add(&Record{Body: &Record_Task{&Task{Pid: 1}}}, nil),
		w.AddAligned(&Record{Body: &Record_Pages{&Pages{MmId: 1}}}, []byte("x"), 4096),
		w.Add(&Record{Body: &Record_Task{&Task{Pid: 2}}, Optional: true}, []byte("y")),
		w.EndStage("test", "0"),
		w.End(index),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	got := ""
	for _, k := range index.Kinds {
		got += fmt.Sprintf("%d:%d ", k.Field, k.Records)
	}
	if want := "16:1 18:1 32:2 80:1 "; got != want {
		t.Errorf("kinds %q, want %q", got, want)
	}
}
