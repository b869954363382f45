package image

import (
	"fmt"

	"floe/lib/record"
)

// What records may take in memory: that much, and so many times what they take
// in the stream. Those of processes take about as much in both; an image that was
// made to fill the memory of its readers can't.
const (
	FreeMemory = 24 << 20 // bytes
	MaxGrowth  = 5
)

// size is what has been added.
type size struct {
	records int
	stream  int // bytes
	memory  int // bytes, about
}

// count counts a record that is kept, and takes memory bytes.
func (s *size) count(rec *record.Record, payload []byte, memory int) error {
	s.records++
	s.stream += rec.Size() + len(payload)
	s.memory += memory
	if s.memory > FreeMemory+MaxGrowth*s.stream {
		return fmt.Errorf("%d records of %d bytes take %d MiB of memory; the limit is %d MiB and %d times their size",
			s.records, s.stream, s.memory>>20, FreeMemory>>20, MaxGrowth)
	}
	return nil
}

// Bytes in memory, about: of a message with what leads to it, and of a list's
// element of the sort.
const (
	smallRecord = 160
	largeRecord = 640
	element     = 72
	text        = 24 // of a string, less the bytes
)

// memory is what a record takes once it is kept as it is, about: what it takes
// encoded, and the Go structs.
func memory(rec *record.Record) int {
	n := rec.Size()
	switch b := rec.Body.(type) {
	case *record.Record_Vma:
		return n + smallRecord + text*len(b.Vma.Flags) + 4*(len(b.Vma.Resident)+len(b.Vma.Dropped))
	case *record.Record_Task:
		t := b.Task
		return n + largeRecord + element*(len(t.Actions)+len(t.Limits)+len(t.Pending)+len(t.Itimers)+2*len(t.PosixTimers)) + 4*len(t.Tids) + attrs(t.Mm)
	case *record.Record_Pending:
		return n + smallRecord + 2*element*len(b.Pending.Signals)
	case *record.Record_Header:
		return n + largeRecord + text*len(b.Header.GetCpu().GetFlags()) + element*len(b.Header.GetCpu().GetXsave())
	case *record.Record_Vdso:
		return n + smallRecord + element*len(b.Vdso.Areas) + 2*element*len(b.Vdso.Symbols) + element*(len(b.Vdso.Floe)+len(b.Vdso.Droppable))
	case *record.Record_Mm:
		return n + 2*smallRecord + attrs(b.Mm.Attrs)
	case *record.Record_Fd:
		return 72
	case *record.Record_Pipe:
		return n + smallRecord + 4*(len(b.Pipe.Packets)+len(b.Pipe.Buffers))
	}
	return n + smallRecord
}

func attrs(a *record.MmAttrs) int { return 2 * element * len(a.GetPolicies()) }
