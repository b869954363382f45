package freezer

import (
	"time"

	"floe/lib/procfs"
	"floe/lib/tracer"
	"floe/lib/vdso"
)

// Tree is a frozen process tree.
type Tree struct {
	Root  int
	Procs []*Process // parents before children

	byPID   map[int]*Process
	threads map[tracer.TID]*Thread
	reached int       // of Procs, those that have been looked at once
	busy    bool      // something was born or died while the tree was frozen
	begin   time.Time // of the freezing
	lastPID int       // that was given out before it
	stall   time.Duration
	kernel  *vdso.VDSO // what this kernel gives, once it is needed
}

// Process is one of its processes.
type Process struct {
	PID     int
	Threads []*Thread // the leader first; empty for a zombie
	Zombie  bool
	Stat    *procfs.Stat // as it is frozen
	Parent  *Process     // nil for the root
	Maker   tracer.TID   // the thread of Parent whose child it is

	objects [len(kindNames)]uint64 // the numbers of what it may share
	vdso    []vdso.Span            // code, its kernel's and a proxy's, once it has been looked up
}

// Thread is one thread of a process.
type Thread struct {
	TID  tracer.TID
	Proc *Process
	Stop tracer.Stop

	asked   bool // to stop
	stopped bool
	gone    bool
}

func newTree(root int) *Tree {
	return &Tree{Root: root, byPID: map[int]*Process{}, threads: map[tracer.TID]*Thread{}, begin: time.Now(), lastPID: lastPID()}
}

func (t *Tree) add(pid int, parent *Process) *Process {
	p := &Process{PID: pid, Parent: parent}
	t.Procs = append(t.Procs, p)
	t.byPID[pid] = p
	return p
}
