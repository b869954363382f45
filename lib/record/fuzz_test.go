package record

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"

	"google.golang.org/protobuf/proto"
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

// FuzzScan compares what scan thinks a record takes with what it takes.
func FuzzScan(f *testing.F) {
	readAllFrames(f, golden(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := scan(b)
		if err != nil {
			return
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		rec := &Record{}
		err = proto.Unmarshal(b, rec)
		runtime.ReadMemStats(&after)
		// The runtime and the fuzzer allocate a little meanwhile.
		if took := int(after.TotalAlloc - before.TotalAlloc); err == nil && took > 2*s.memory+64<<10 {
			t.Errorf("%d bytes take %d in memory, not %d", len(b), took, s.memory)
		}
		if err == nil && !s.unknown && rec.Kind() != kindName(s.body) {
			t.Errorf("body %d, decoded as %s", s.body, rec.Kind())
		}
	})
}

func readAllFrames(f *testing.F, b []byte) {
	r, err := NewReader(bytes.NewReader(b))
	for err == nil {
		var fr *Frame
		if fr, err = r.Next(); err == nil {
			f.Add(fr.Raw[len(fr.Raw)-Size(fr.Record):])
		}
	}
}
