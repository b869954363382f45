// Package image holds the records of a stream in memory, all but the contents
// of pages: what the stages and restore work on.
package image

import (
	"errors"
	"fmt"

	"floe/lib/record"
)

// Bounds on what one image may hold, so that a hostile one can't take more
// than some tens of MiB.
const (
	MaxRecords     = 1 << 20
	MaxRecordBytes = 24 << 20 // of all records kept
	MaxPipeBytes   = 16 << 20 // contents of all pipes
)

// ErrUnknown is Add's error for a record of a kind that this version does not
// know. Stages pass such records on, restore refuses them.
var ErrUnknown = errors.New("the stream has a record that this version does not know; use a newer floe")

// Image is everything that a stream says but the contents of pages.
type Image struct {
	Header    *record.Header
	Tasks     []*record.Task // the root first, parents before children
	Threads   map[int32]*record.Thread
	Mms       map[uint64]*record.Mm
	Vmas      map[uint64][]*record.Vma // by mm_id, in order of address
	Files     map[uint64]*record.File
	Vdsos     map[uint64]*record.Vdso // by mm_id
	Fs        map[uint64]*record.Fs
	Fds       map[uint64][]*record.Fd // by files_id, in order of number
	OpenFiles map[uint64]*record.OpenFile
	OpenOrder []uint64 // open ids as they came
	Pipes     map[uint64]*record.Pipe
	PipeData  map[uint64][]byte
	FileLocks []*record.FileLock
	Stages    []*record.EndStage
	Ended     bool // the End record has come

	task    map[int32]*record.Task
	records int
	bytes   int
	piped   int
}

// New is an empty image.
func New() *Image {
	return &Image{
		Threads: map[int32]*record.Thread{}, Mms: map[uint64]*record.Mm{}, Vmas: map[uint64][]*record.Vma{},
		Files: map[uint64]*record.File{}, Vdsos: map[uint64]*record.Vdso{}, Fs: map[uint64]*record.Fs{},
		Fds: map[uint64][]*record.Fd{}, OpenFiles: map[uint64]*record.OpenFile{}, Pipes: map[uint64]*record.Pipe{},
		PipeData: map[uint64][]byte{}, task: map[int32]*record.Task{},
	}
}

// Task is the task with a pid, or nil.
func (im *Image) Task(pid int32) *record.Task { return im.task[pid] }

// Add keeps a record. Pages and marks are passed over. payload is kept for
// pipes only, by copy.
func (im *Image) Add(rec *record.Record, payload []byte) error {
	if im.Header == nil && rec.GetHeader() == nil {
		return fmt.Errorf("the stream does not begin with a header")
	}
	if err := im.count(rec, payload); err != nil {
		return err
	}
	switch b := rec.Body.(type) {
	case *record.Record_Header:
		if im.Header != nil {
			return fmt.Errorf("the stream has two headers")
		}
		im.Header = b.Header
	case *record.Record_EndStage:
		im.Stages = append(im.Stages, b.EndStage)
	case *record.Record_End:
		im.Ended = true
	case *record.Record_Task:
		return im.addTask(b.Task)
	case *record.Record_Thread:
		return put(im.Threads, b.Thread.Tid, b.Thread, "thread")
	case *record.Record_Mm:
		return put(im.Mms, b.Mm.MmId, b.Mm, "address space")
	case *record.Record_Vma:
		return im.addVma(b.Vma)
	case *record.Record_File:
		return put(im.Files, b.File.FileId, b.File, "file")
	case *record.Record_Vdso:
		return put(im.Vdsos, b.Vdso.MmId, b.Vdso, "vDSO of address space")
	case *record.Record_Fs:
		return put(im.Fs, b.Fs.FsId, b.Fs, "fs")
	case *record.Record_Fd:
		return im.addFd(b.Fd)
	case *record.Record_OpenFile:
		im.OpenOrder = append(im.OpenOrder, b.OpenFile.OpenId)
		return put(im.OpenFiles, b.OpenFile.OpenId, b.OpenFile, "open file")
	case *record.Record_Pipe:
		im.PipeData[b.Pipe.PipeId] = append([]byte(nil), payload...)
		return put(im.Pipes, b.Pipe.PipeId, b.Pipe, "pipe")
	case *record.Record_FileLock:
		im.FileLocks = append(im.FileLocks, b.FileLock)
	case *record.Record_Pages, *record.Record_Mark, *record.Record_Index:
	default:
		if !rec.Optional {
			return ErrUnknown
		}
	}
	return nil
}

func (im *Image) count(rec *record.Record, payload []byte) error {
	if rec.GetPages() != nil || rec.GetIndex() != nil {
		return nil
	}
	im.records++
	im.bytes += record.Size(rec)
	if rec.GetPipe() != nil {
		im.piped += len(payload)
	}
	switch {
	case im.records > MaxRecords:
		return fmt.Errorf("the stream has more than %d records", MaxRecords)
	case im.bytes > MaxRecordBytes:
		return fmt.Errorf("the stream has more than %d bytes of records", MaxRecordBytes)
	case im.piped > MaxPipeBytes:
		return fmt.Errorf("the stream has more than %d bytes in pipes", MaxPipeBytes)
	}
	return nil
}

func put[K comparable, V any](m map[K]V, k K, v V, what string) error {
	if _, ok := m[k]; ok {
		return fmt.Errorf("the stream has %s %v twice", what, k)
	}
	m[k] = v
	return nil
}

func (im *Image) addTask(t *record.Task) error {
	if len(im.Tasks) > 0 && im.task[t.Ppid] == nil {
		return fmt.Errorf("task %d comes before its parent %d", t.Pid, t.Ppid)
	}
	im.Tasks = append(im.Tasks, t)
	return put(im.task, t.Pid, t, "task")
}

func (im *Image) addVma(v *record.Vma) error {
	list := im.Vmas[v.MmId]
	if v.Start >= v.End || v.Start%4096 != 0 || v.End%4096 != 0 {
		return fmt.Errorf("mapping %x-%x of address space %d is malformed", v.Start, v.End, v.MmId)
	}
	if n := len(list); n > 0 && list[n-1].End > v.Start {
		return fmt.Errorf("mappings of address space %d overlap or are out of order at %x", v.MmId, v.Start)
	}
	im.Vmas[v.MmId] = append(list, v)
	return nil
}

func (im *Image) addFd(f *record.Fd) error {
	list := im.Fds[f.FilesId]
	if n := len(list); n > 0 && list[n-1].Fd >= f.Fd || f.Fd < 0 {
		return fmt.Errorf("descriptors of table %d are out of order at %d", f.FilesId, f.Fd)
	}
	im.Fds[f.FilesId] = append(list, f)
	return nil
}
