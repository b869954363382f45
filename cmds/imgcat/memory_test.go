package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"floe/lib/record"
)

// memoryLimit is what any input may make the program need, KiB.
const memoryLimit = 64 << 10

// hostile writes a stream to a file, and closes it as the stage that it is of.
func hostile(t *testing.T, stage string, fill filler) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "img")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := bufio.NewWriter(f)
	w := record.NewWriter(b)
	add := func(r *record.Record, payload []byte) {
		t.Helper()
		if err := w.Add(r, payload); err != nil {
			t.Fatal(err)
		}
	}
	add(&record.Record{Body: &record.Record_Header{Header: &record.Header{RootPid: 1}}}, nil)
	add(&record.Record{Body: &record.Record_Task{Task: &record.Task{Pid: 1, MmId: 1, FilesId: 1, FsId: 1}}}, nil)
	fill(add)
	for _, err := range []error{w.EndStage(stage, "test"), w.Flush(), b.Flush()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return name
}

func vma(i int) *record.Record {
	start := uint64(i+1) << 12
	return &record.Record{Body: &record.Record_Vma{Vma: &record.Vma{MmId: 1, Start: start, End: start + 1<<12}}}
}

type (
	adder  = func(*record.Record, []byte)
	filler = func(adder)
)

// fillers add the most that there may be of one thing, or more.
func fillers() map[string]filler {
	control := strings.Repeat("\x01", record.MaxRecord-100)
	mm := &record.Record{Body: &record.Record_Mm{Mm: &record.Mm{MmId: 1, Pid: 1}}}
	return map[string]filler{
		"mappings": func(add adder) {
			const n = 140_000
			add(mm, nil)
			for i := range n {
				add(vma(i), nil)
			}
			for _, e := range []record.Pages_Encoding{record.Pages_ZERO, record.Pages_GUARD} {
				for range 100 {
					runs := []*record.Pages_Run{{Vaddr: 1 << 12, Pages: n}, {Vaddr: 1 << 12, Pages: n - 1}}
					add(&record.Record{Body: &record.Record_Pages{Pages: &record.Pages{MmId: 1, Runs: runs, Encoding: e}}}, nil)
				}
			}
		},
		"descriptors": func(add adder) {
			for i := range 140_000 {
				add(&record.Record{Body: &record.Record_Fd{Fd: &record.Fd{FilesId: 1, Fd: int32(i), OpenId: uint64(i + 1)}}}, nil)
			}
		},
		"tasks": func(add adder) {
			for i := range 30_000 {
				add(&record.Record{Body: &record.Record_Task{Task: &record.Task{Pid: int32(i + 2), Ppid: int32(i + 1), MmId: 1, FilesId: 1, FsId: 1}}}, nil)
			}
		},
		"names": func(add adder) {
			add(mm, nil)
			for i := range 6 {
				v := vma(i)
				v.GetVma().Name = control
				add(v, nil)
			}
		},
		"strings": func(add adder) {
			for range 2 {
				add(&record.Record{Body: &record.Record_Task{Task: &record.Task{Pid: 2, Ppid: 1, Comm: control}}}, nil)
			}
		},
		"pipes": func(add adder) {
			for i := range 12 {
				add(&record.Record{Body: &record.Record_Pipe{Pipe: &record.Pipe{PipeId: uint64(i + 1), Capacity: 1 << 20}}}, make([]byte, 1<<20))
			}
		},
		"places": func(add adder) {
			add(mm, nil)
			add(vma(0), nil)
			for range maxPlaces + 10 {
				add(&record.Record{Body: &record.Record_Pages{Pages: &record.Pages{MmId: 1, Runs: []*record.Pages_Run{{Vaddr: 1 << 12, Pages: 1}}, Encoding: record.Pages_ZERO}}}, nil)
			}
		},
		"unknown": func(add adder) {
			for i := range 100 {
				r := unknown(append([]byte{0x80, 0x80, 0x40}, bytes.Repeat([]byte{byte(i)}, 1<<20)...))
				add(r, make([]byte, 1<<20))
			}
		},
	}
}

// TestMemory gives it the most that there may be of what it keeps.
func TestMemory(t *testing.T) {
	const table, json, verify = "-q", "--json", "--verify"
	ways := map[string][]string{
		"mappings": {table, verify}, "descriptors": {table}, "tasks": {table}, "names": {table, json}, "strings": {json},
		"pipes": {table, verify}, "places": {verify}, "unknown": {table, json},
	}
	for name, fill := range fillers() {
		t.Run(name, func(t *testing.T) {
			file := hostile(t, "freeze", fill)
			for _, how := range ways[name] {
				status, kib := measure(t, how, file)
				if status != 3 || kib > memoryLimit {
					t.Errorf("%v: status %d, %d KiB", how, status, kib)
				}
				t.Logf("%s %v: %d KiB", name, how, kib)
			}
		})
	}
}

// measure runs the program, and tells its status and its memory.
func measure(t *testing.T, args ...string) (status, kib int) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", append([]string{program(t, "imgcat")}, args...)...)
	cmd.Env = append(os.Environ(), measureEnv+"=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(string(out), &status, &kib); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	return status, kib
}

// TestHuge shows an image of 8 GiB, most of it a hole of a file.
func TestHuge(t *testing.T) {
	name := filepath.Join(t.TempDir(), "img")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const payload = 1 << 20
	w := record.NewWriter(f)
	header := &record.Record{Body: &record.Record_Header{Header: &record.Header{RootPid: 1}}}
	task := &record.Record{Body: &record.Record_Task{Task: &record.Task{Pid: 1, MmId: 1}}}
	big := &record.Record{Body: &record.Record_Vma{Vma: &record.Vma{MmId: 1, Start: 1 << 12, End: 1 << 46}}}
	for _, r := range []*record.Record{header, task, {Body: &record.Record_Mm{Mm: &record.Mm{MmId: 1}}}, big} {
		if err := w.Add(r, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	at := w.Offset()
	for i := range 8 << 10 {
		rec := &record.Record{PayloadLen: payload, Body: &record.Record_Pages{Pages: &record.Pages{MmId: 1, Runs: []*record.Pages_Run{{Vaddr: uint64(i+1) << 20, Pages: payload / pageSize}}}}}
		b, err := record.Marshal(rec)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(b, at); err != nil {
			t.Fatal(err)
		}
		at += int64(len(b)) + payload
	}
	if err := f.Truncate(at); err != nil {
		t.Fatal(err)
	}
	status, kib := measure(t, name)
	if status != 3 || kib > memoryLimit/2 {
		t.Errorf("status %d, %d KiB", status, kib)
	}
	r := imgcat(t, flags{File: name}, false)
	refused(t, "it has no end", r, "the stream ends early, at offset")
	if !strings.Contains(r.out, "\ntotal: 8196 records, 8 GiB, 8 GiB of pages saved, 0 zero pages\n") {
		t.Error(r.out)
	}
}
