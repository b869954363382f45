// Package image holds the records of a stream in memory, all but the contents
// of pages: what the stages and restore work on. Add takes the records one by
// one and refuses what can't be right where it stands; Validate checks the
// whole: every reference leads somewhere, every stage was there.
package image

import (
	"fmt"

	"floe/lib/record"
)

// Image is everything that a stream says but the contents of pages. What it
// holds is not to be changed: equal parts of records are shared.
type Image struct {
	Header    *record.Header
	Tasks     []*record.Task // the root first, parents before children
	Mms       map[uint64]*record.Mm
	Vmas      map[uint64][]*record.Vma // by mm_id, in order of address
	Vdsos     map[uint64]*record.Vdso  // by mm_id
	Fs        map[uint64]*record.Fs
	Fds       map[uint64][]*record.Fd // by files_id, in order of number
	OpenOrder []uint64                // open ids as they came
	Pipes     map[uint64]*record.Pipe
	FileLocks []*record.FileLock
	Stages    []*record.EndStage
	Ended     bool // the End record has come

	// WithoutPipeData is set by whoever has no use for what is in pipes.
	WithoutPipeData bool

	threads  store[int32]
	files    store[uint64]
	opens    store[uint64]               // open files
	contents store[uint64]               // of pipes
	queued   map[int32][]*record.SigInfo // by tid: what is not in the thread's record
	piped    map[uint64]int

	task  map[int32]*record.Task
	vmas  map[uint64]uint64 // how many records of mappings have come, by mm_id
	size  size
	share share
	// Files that are no regular ones.
	irregular map[uint64]bool
	// What had been added when the references were checked last; they are
	// checked twice by who reads the pages last.
	checked int
}

// New is an empty image.
func New() *Image {
	a := newArena()
	return &Image{
		Mms: map[uint64]*record.Mm{}, Vmas: map[uint64][]*record.Vma{}, Vdsos: map[uint64]*record.Vdso{},
		Fs: map[uint64]*record.Fs{}, Fds: map[uint64][]*record.Fd{}, Pipes: map[uint64]*record.Pipe{},
		threads: store[int32]{arena: a, what: "thread"}, files: store[uint64]{arena: a, what: "file"},
		opens: store[uint64]{arena: a, what: "open file"}, contents: store[uint64]{arena: a, what: "pipe"},
		piped: map[uint64]int{}, queued: map[int32][]*record.SigInfo{}, task: map[int32]*record.Task{}, vmas: map[uint64]uint64{}, share: newShare(),
	}
}

// Task is the task with a pid, or nil.
func (im *Image) Task(pid int32) *record.Task { return im.task[pid] }

// live tells whether a task still has memory, files and threads.
func live(t *record.Task) bool { return t.State != record.Task_ZOMBIE }

// ErrUnknown is Add's error for a record of a kind that this version does not
// know. Stages pass such records on, restore refuses them.
var ErrUnknown = record.ErrUnknown

// Add keeps a record. Pages and marks are passed over. payload is kept for
// pipes only, by copy.
func (im *Image) Add(rec *record.Record, payload []byte) error {
	if im.Header == nil && rec.GetHeader() == nil {
		return fmt.Errorf("the stream does not begin with a header")
	}
	if !keeps(rec) {
		im.Ended = im.Ended || rec.GetEnd() != nil
		return nil
	}
	n, err := im.keep(rec, payload)
	if err != nil {
		return err
	}
	return im.size.count(rec, payload, n)
}

// keep keeps a record, and returns the bytes of memory that it takes.
func (im *Image) keep(rec *record.Record, payload []byte) (int, error) {
	switch b := rec.Body.(type) {
	case *record.Record_Thread:
		return im.threads.put(b.Thread.Tid, b.Thread)
	case *record.Record_File:
		return im.files.put(b.File.FileId, b.File)
	case *record.Record_OpenFile:
		im.OpenOrder = append(im.OpenOrder, b.OpenFile.OpenId)
		return im.opens.put(b.OpenFile.OpenId, b.OpenFile)
	case *record.Record_Pipe:
		n, err := im.addPipe(b.Pipe, payload)
		return n + memory(rec), err
	}
	saved := im.share.record(rec)
	return memory(rec) - saved, im.keepWhole(rec)
}

// keepWhole keeps a record as it is.
func (im *Image) keepWhole(rec *record.Record) error {
	switch b := rec.Body.(type) {
	case *record.Record_Header:
		if im.Header != nil {
			return fmt.Errorf("the stream has two headers")
		}
		im.Header = b.Header
	case *record.Record_EndStage:
		im.Stages = append(im.Stages, b.EndStage)
	case *record.Record_Task:
		return im.addTask(b.Task)
	case *record.Record_Pending:
		return im.addPending(b.Pending)
	case *record.Record_Mm:
		return put(im.Mms, b.Mm.MmId, b.Mm, "address space")
	case *record.Record_Vma:
		return im.addVma(b.Vma)
	case *record.Record_Vdso:
		return im.addVdso(b.Vdso)
	case *record.Record_Fs:
		return put(im.Fs, b.Fs.FsId, b.Fs, "fs")
	case *record.Record_Fd:
		return im.addFd(b.Fd)
	case *record.Record_FileLock:
		im.FileLocks = append(im.FileLocks, b.FileLock)
	default:
		if !rec.Optional {
			return fmt.Errorf("the stream has a record of a new kind: %w", ErrUnknown)
		}
	}
	return nil
}

// keeps tells whether Add keeps a record.
func keeps(rec *record.Record) bool {
	switch rec.Body.(type) {
	case *record.Record_Pages, *record.Record_Mark, *record.Record_Index, *record.Record_End:
		return false
	case nil:
		return !rec.Optional // to be refused
	}
	return true
}

// put adds to a map by id. 0 is no id: it stands for "none" in references.
func put[K int32 | uint64, V any](m map[K]V, id K, v V, what string) error {
	if id <= 0 {
		return fmt.Errorf("the stream has %s %d: there is no such number", what, id)
	}
	if _, ok := m[id]; ok {
		return fmt.Errorf("the stream has %s %d twice", what, id)
	}
	m[id] = v
	return nil
}

func (im *Image) addTask(t *record.Task) error {
	if parent := im.task[t.Ppid]; parent == nil && len(im.Tasks) > 0 {
		return fmt.Errorf("task %d comes before its parent %d", t.Pid, t.Ppid)
	} else if parent != nil && !live(parent) {
		return fmt.Errorf("task %d is a child of task %d, which is a zombie: those have none", t.Pid, t.Ppid)
	}
	if err := put(im.task, t.Pid, t, "task"); err != nil {
		return err
	}
	im.Tasks = append(im.Tasks, t)
	return nil
}

// addPending adds to the queue of a task or a thread.
func (im *Image) addPending(p *record.Pending) error {
	t := im.task[p.Pid]
	switch {
	case p.Tid != 0 && im.Thread(p.Tid).GetPid() == p.Pid:
		im.queued[p.Tid] = append(im.queued[p.Tid], p.Signals...)
	case p.Tid == 0 && t != nil:
		t.Pending = append(t.Pending, p.Signals...)
	default:
		return fmt.Errorf("signals of task %d, thread %d come before it", p.Pid, p.Tid)
	}
	return nil
}

func (im *Image) addPipe(p *record.Pipe, payload []byte) (n int, err error) {
	if err := put(im.Pipes, p.PipeId, p, "pipe"); err != nil {
		return 0, err
	}
	if im.piped[p.PipeId] = len(payload); len(payload) == 0 || im.WithoutPipeData {
		return 0, nil
	}
	return im.contents.putBytes(p.PipeId, payload)
}

// maxFlags is the bits of a vm_flags_t.
const maxFlags = 64

func (im *Image) addVma(v *record.Vma) error {
	list := im.Vmas[v.MmId]
	if v.Start >= v.End || v.Start%pageSize != 0 || v.End%pageSize != 0 {
		return fmt.Errorf("address space %d: mapping %x-%x is malformed", v.MmId, v.Start, v.End)
	}
	if len(v.Flags) > maxFlags {
		return fmt.Errorf("address space %d: mapping %x-%x has %d flags; the limit is %d", v.MmId, v.Start, v.End, len(v.Flags), maxFlags)
	}
	if im.Vdsos[v.MmId] != nil {
		return fmt.Errorf("address space %d: mapping %x-%x comes after its vDSO", v.MmId, v.Start, v.End)
	}
	if n := len(list); n > 0 && list[n-1].End > v.Start {
		return fmt.Errorf("address space %d: mappings overlap or are out of order at %x", v.MmId, v.Start)
	}
	im.Vmas[v.MmId] = append(list, v)
	im.vmas[v.MmId]++
	return nil
}

func (im *Image) addFd(f *record.Fd) error {
	list := im.Fds[f.FilesId]
	if n := len(list); n > 0 && list[n-1].Fd >= f.Fd || f.Fd < 0 {
		return fmt.Errorf("descriptor table %d: descriptors are out of order at %d", f.FilesId, f.Fd)
	}
	im.Fds[f.FilesId] = append(list, f)
	return nil
}
