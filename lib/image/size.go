package image

import (
	"fmt"

	"floe/lib/record"
)

// Bounds on what one image may hold, so that a hostile one can't take more
// than some tens of MiB.
const (
	MaxRecords   = 1 << 20
	MaxMemory    = 28 << 20 // bytes that the records kept take, about
	MaxPipeBytes = 8 << 20  // contents of all pipes
)

// size is what has been added.
type size struct{ records, memory, piped int }

// count counts a record that is kept; shared is the part of its memory that
// another record has already.
func (s *size) count(rec *record.Record, payload []byte, shared int) error {
	s.records++
	s.memory += memory(rec) - shared
	if rec.GetPipe() != nil {
		s.piped += len(payload)
	}
	switch {
	case s.records > MaxRecords:
		return fmt.Errorf("the stream has more than %d records", MaxRecords)
	case s.memory > MaxMemory:
		return fmt.Errorf("the stream has more than %d MiB of records", MaxMemory>>20)
	case s.piped > MaxPipeBytes:
		return fmt.Errorf("the stream has more than %d MiB in pipes", MaxPipeBytes>>20)
	}
	return nil
}

// Bytes in memory, about: of a message with what leads to it, and of a list's
// element of the sort.
const (
	smallRecord = 160
	largeRecord = 800
	element     = 72
	text        = 24 // of a string, less the bytes
)

// memory is what a record takes once it is kept, about: what it takes encoded,
// and the Go structs.
func memory(rec *record.Record) int {
	n := rec.Size()
	switch b := rec.Body.(type) {
	case *record.Record_Vma:
		return n + smallRecord + text*len(b.Vma.Flags)
	case *record.Record_Task:
		t := b.Task
		return n + largeRecord + element*(len(t.Actions)+len(t.Limits)+len(t.Pending)+len(t.Itimers)+2*len(t.PosixTimers)) + 4*len(t.Tids)
	case *record.Record_Thread:
		return n + largeRecord + element*len(b.Thread.Pending) + 4*len(b.Thread.GetCreds().GetGroups())
	case *record.Record_Header:
		return n + largeRecord + text*len(b.Header.GetCpu().GetFlags()) + element*len(b.Header.GetCpu().GetXsave())
	case *record.Record_Vdso:
		return n + smallRecord + element*len(b.Vdso.Areas) + 2*element*len(b.Vdso.Symbols) + element*(len(b.Vdso.Floe)+len(b.Vdso.Droppable))
	case *record.Record_OpenFile:
		return n + smallRecord + 2*element*len(b.OpenFile.GetEpoll().GetTargets())
	case *record.Record_File, *record.Record_Mm:
		return n + 2*smallRecord
	case *record.Record_Pipe:
		return n + smallRecord + 4*len(b.Pipe.Packets)
	}
	return n + smallRecord
}
