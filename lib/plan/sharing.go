package plan

import "floe/lib/record"

// Sharing tells, for each kind of shared object, which task restores it: the
// first that has it.
type Sharing struct {
	mm, files, fs, sighand map[uint64]int32
}

// NewSharing looks through the tasks in order.
func NewSharing(tasks []*record.Task) *Sharing {
	s := &Sharing{map[uint64]int32{}, map[uint64]int32{}, map[uint64]int32{}, map[uint64]int32{}}
	for _, t := range tasks {
		if t.State == record.Task_ZOMBIE {
			continue
		}
		for _, o := range []struct {
			m  map[uint64]int32
			id uint64
		}{{s.mm, t.MmId}, {s.files, t.FilesId}, {s.fs, t.FsId}, {s.sighand, t.SighandId}} {
			if _, seen := o.m[o.id]; !seen {
				o.m[o.id] = t.Pid
			}
		}
	}
	return s
}

// OwnsMM and the others tell whether t is the task to restore its own.
func (s *Sharing) OwnsMM(t *record.Task) bool      { return s.mm[t.MmId] == t.Pid }
func (s *Sharing) OwnsFiles(t *record.Task) bool   { return s.files[t.FilesId] == t.Pid }
func (s *Sharing) OwnsFS(t *record.Task) bool      { return s.fs[t.FsId] == t.Pid }
func (s *Sharing) OwnsSighand(t *record.Task) bool { return s.sighand[t.SighandId] == t.Pid }
