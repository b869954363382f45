package attr

import (
	"floe/lib/procfs"
	"floe/lib/record"
	"floe/lib/stub"
)

// Attr is an attribute, or a family of them: both halves of it.
type Attr struct {
	Name    string // in messages, and of restore --inherit
	Process Part[record.Task]
	Thread  Part[record.Thread]

	// Neutral clears in the first puppet what would be in the way of others.
	Neutral func() []stub.Call
	// Place sets from outside what the first puppet takes on for all.
	Place func(*Here, int) error
	// Seed is what the first puppet takes on for all.
	Seed func(*Here) []stub.Call
	// Fork is what a task does before it makes another that begins with thread t.
	// It has just made before, in the same way; nil: nothing is known.
	Fork func(before, t *record.Thread) []stub.Call
	// Fixed says what restore itself has, cannot get rid of, and would pass on to
	// a tree that has not got it. "": nothing.
	Fixed func(*Here) string
}

// Part is what concerns a process (T is record.Task) or a thread (record.Thread).
// The record has its Attrs; where it has none, an older version made it, and
// nothing but Check is called.
type Part[T any] struct {
	// Look reads it from outside, when the task is stopped.
	Look func(*Live, *T) error
	// Ask are calls for the task to make; any may fail. They leave it as it was.
	Ask func(*Live, *T) []stub.Call
	// Answer takes what they returned.
	Answer func(*Answers, *T) error
	// Alike are calls, few and with little data, which return the same in another
	// thread of the process where Ask would, too. Of a thread only: see Alike.
	Alike func(l *Live, first *T) []stub.Call

	// Check refuses a value that no kernel has.
	Check func(*T) error
	// Cannot says why this machine or this user can't set it.
	Cannot func(*Here, *T) error

	// Place sets it from outside, before the memory is mapped. Of a process only.
	Place func(*Here, int, *T) error
	// Early are calls before the memory is mapped: the process has one thread, and
	// restore's own directories. Of a process only.
	Early func(*Here, *T) []stub.Call
	// Write sets it from outside, before any credentials change.
	Write func(*Here, int, *T) error
	// Set are calls when all is mapped, before the credentials change.
	Set func(*Here, *T) []stub.Call
	// Run is Set for calls that depend on what others return. Of a process only.
	Run func(func([]stub.Call) ([]int64, error), *T) error
	// Last are calls after everything else. Of a process only.
	Last func(*Here, *T) []stub.Call
}

// Live is a stopped thread at dump.
type Live struct {
	PID, TID int
	Status   *procfs.Status
	Stat     *procfs.Stat
	Leader   *record.Task // of a thread: its process
	Dump     *Dump
}

// Dump is what the attributes keep in mind while a tree is dumped.
type Dump struct {
	groups  map[int]string    // control groups of processes
	dummies map[[2]uint32]int // see landlock
}

// Here is what a restore sees around it.
type Here struct {
	Process *record.Task   // restore itself: what the tree inherits
	Thread  *record.Thread // its thread
	Status  *procfs.Status
	Tasks   []*record.Task // of the image, the root first
	Threads func(tid int32) *record.Thread
	Vmas    func(*record.Task) []*record.Vma
	Accept  []string // attributes of which the tree may inherit whatever there is
	Cgroups CgroupMode

	byPID map[int32]*record.Task
	said  map[string]bool // that can't be joined
}

// May tells whether restore has a capability.
func (h *Here) May(capability int) bool { return h.Status.CapEff>>capability&1 != 0 }

// every tells whether all threads of the image have something.
func (h *Here) every(has func(*record.Thread) bool) bool {
	for _, t := range h.Tasks {
		if t.State == record.Task_ZOMBIE {
			continue
		}
		for _, tid := range t.Tids {
			if th := h.Threads(tid); th != nil && !has(th) {
				return false
			}
		}
	}
	return true
}
