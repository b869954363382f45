package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"reflect"
	"testing"
	"time"
	"unicode"

	"floe/lib/record"
)

// mutator changes what records say, so that the stream stays sound.
type mutator struct {
	*rand.Rand
	numbers []uint64 // that the image has: a number of the one kind may be taken for one of another
}

// fields calls visit with every field of a record that can be set.
func fields(v reflect.Value, visit func(reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			fields(v.Elem(), visit)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fields(v.Field(i), visit)
			}
		}
	case reflect.Slice:
		visit(v)
		for i := range v.Len() {
			fields(v.Index(i), visit)
		}
	default:
		visit(v)
	}
}

// number is one that makes trouble.
func (m *mutator) number() uint64 {
	switch m.IntN(4) {
	case 0:
		return m.numbers[m.IntN(len(m.numbers))]
	case 1:
		return uint64(m.IntN(5))
	case 2:
		return 1<<m.IntN(64) - uint64(m.IntN(2))
	}
	return m.Uint64()
}

func (m *mutator) set(v reflect.Value) {
	if !v.CanSet() {
		return
	}
	switch {
	case v.CanInt():
		v.SetInt(int64(m.number()))
	case v.CanUint():
		v.SetUint(m.number())
	case v.Kind() == reflect.Bool:
		v.SetBool(m.IntN(2) == 0)
	case v.Kind() == reflect.String:
		v.SetString(nasty)
	case v.Kind() != reflect.Slice || v.Len() == 0:
	case v.Type().Elem().Kind() == reflect.Uint8:
		v.SetBytes(append([]byte(nasty), v.Bytes()...))
	case m.IntN(2) == 0:
		v.Set(reflect.AppendSlice(v, v))
	default:
		v.Set(v.Slice(0, m.IntN(v.Len())))
	}
}

// item is a record with its payload.
type item struct {
	rec     *record.Record
	payload []byte
}

// mutated is a sound stream of the records of another, some of which are
// changed, left out, doubled or moved.
func mutated(t *testing.T, stream []byte, r *rand.Rand) []byte {
	t.Helper()
	var items []item
	m := &mutator{Rand: r}
	var all []reflect.Value
	for _, f := range frames(t, stream) {
		switch f.Record.Body.(type) {
		case *record.Record_EndStage, *record.Record_Index, *record.Record_End:
			continue // made anew
		}
		payload := stream[f.PayloadOffset:][:f.Record.PayloadLen]
		items = append(items, item{f.Record, payload})
		fields(reflect.ValueOf(f.Record.Body), func(v reflect.Value) {
			all = append(all, v)
			if v.CanUint() {
				m.numbers = append(m.numbers, v.Uint())
			} else if v.CanInt() {
				m.numbers = append(m.numbers, uint64(v.Int()))
			}
		})
	}
	for range 1 + m.IntN(4) {
		at, to := 1+m.IntN(len(items)-1), 1+m.IntN(len(items)-1)
		switch m.IntN(8) {
		case 0:
			items = append(items[:at:at], items[at+1:]...)
		case 1:
			items = append(items[:at:at], append([]item{items[to]}, items[at:]...)...)
		case 2:
			items[at], items[to] = items[to], items[at]
		default:
			m.set(all[m.IntN(len(all))])
		}
	}
	return written(items)
}

// written is a stream of all stages; a record that is refused is left out.
func written(items []item) []byte {
	var b bytes.Buffer
	w := record.NewWriter(&b)
	for _, i := range items {
		i.rec.Pad = nil
		_ = w.Add(i.rec, i.payload)
	}
	for _, s := range []string{"freeze", "vmadump", "vdsoprobe", "fddump", "pagedump"} {
		_ = w.EndStage(s, "test")
	}
	_ = w.End(&record.Index{})
	return b.Bytes()
}

// TestMutations: whatever an image says with right checksums, imgcat shows it or
// refuses it, and what it prints does nothing to a terminal.
func TestMutations(t *testing.T) {
	golden, err := os.ReadFile(goldenImage)
	if err != nil {
		t.Fatal(err)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	const times = 500
	shown, name := 0, tempFile(t, nil)
	for n, images := 0, [][]byte{golden, realOne(t).bytes}; n < times; n++ {
		b := mutated(t, images[n%2], rand.New(rand.NewPCG(seed, uint64(n))))
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, f := range []flags{{File: name}, {File: name, JSON: true}, {File: name, Verify: true}} {
			r := imgcat(t, f, false)
			if r.err == nil {
				shown++
			}
			for _, c := range r.out {
				if c != '\n' && (!unicode.IsGraphic(c) || c == unicode.ReplacementChar) {
					t.Fatalf("%d: %+v: %U in %q", n, f, c, r.out)
				}
			}
		}
	}
	t.Logf("%d of %d were shown whole", shown, 3*times)
	if shown == 0 {
		t.Error("every mutation was refused: nothing was tried")
	}
}

// A zombie may name an address space that nobody has.
func TestZombieWithNobodysMemory(t *testing.T) {
	b := stream(t, "freeze",
		&record.Record{Body: &record.Record_Header{Header: &record.Header{Arch: "amd64"}}},
		&record.Record{Body: &record.Record_Task{Task: &record.Task{Pid: 1, Comm: "root", MmId: 1, FilesId: 1, FsId: 1}}},
		&record.Record{Body: &record.Record_Task{Task: &record.Task{Pid: 2, Ppid: 1, Comm: "dead", MmId: 2, FilesId: 2, State: record.Task_ZOMBIE}}},
		&record.Record{Body: &record.Record_Mm{Mm: &record.Mm{MmId: 2, Pid: 2}}},
		&record.Record{Body: &record.Record_Fd{Fd: &record.Fd{FilesId: 2, Fd: 1, OpenId: 1}}},
	)
	refused(t, "an unfinished stream", piped(t, flags{}, b), "missing vmadump")
}
