package record

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"
)

// FuzzReader reads any bytes: no panic, an error that is one of ours, and no
// more memory than the bounds allow.
func FuzzReader(f *testing.F) {
	f.Add(golden(f))
	f.Add(small(f))
	f.Add(newRaw().header().stage().Bytes())
	f.Add([]byte("FLOE\x00\x01\x00\x00\xff\xff\xff\x7f"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r, err := NewReader(bytes.NewReader(b))
		for err == nil {
			var fr *Frame
			if fr, err = r.Next(); err == nil && fr.Offset%2 == 0 {
				_, err = r.Payload()
			}
		}
		runtime.ReadMemStats(&after)
		if errors.Is(err, io.EOF) != (err == io.EOF) {
			t.Errorf("wrapped io.EOF: %v", err)
		}
		const fixed = MaxRecord + MaxPayload + 2*readBuffer
		if took := after.TotalAlloc - before.TotalAlloc; took > fixed+300*uint64(len(b)) {
			t.Errorf("%d bytes of input took %d bytes of memory", len(b), took)
		}
	})
}

// FuzzMemory compares what a record is thought to take with what it takes.
func FuzzMemory(f *testing.F) {
	readAllFrames(f, golden(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		rec := &Record{}
		d, err := decodeRecord(b, rec)
		runtime.ReadMemStats(&after)
		// The runtime and the fuzzer allocate a little meanwhile.
		if took := int(after.TotalAlloc - before.TotalAlloc); took > 2*d.memory+64<<10 {
			t.Errorf("%d bytes take %d in memory, not %d", len(b), took, d.memory)
		}
		if err == nil && !d.unknown && rec.Kind() != kindName(d.body) {
			t.Errorf("body %d, decoded as %s", d.body, rec.Kind())
		}
	})
}

func readAllFrames(f *testing.F, b []byte) {
	r, err := NewReader(bytes.NewReader(b))
	for err == nil {
		var fr *Frame
		if fr, err = r.Next(); err == nil {
			f.Add(fr.Encoded())
		}
	}
}
