package plan

import (
	"errors"
	"fmt"

	"floe/lib/record"
)

// StepKind is what a Step of the making of a tree does.
type StepKind int

// Kinds of Step.
const (
	Fork    StepKind = iota // Task makes Child
	Setsid                  // Task starts its session
	Setpgid                 // Task joins the process group Pgid
	Adopt                   // Task becomes a child subreaper, if On, or ceases to be one
	Leave                   // Task leaves what Flags say (unshare(2))
	Bury                    // Child, a helper, ends, and Task waits for it
)

// Step is one step of the making of a tree.
//
// Tasks are pids of the image. Besides there are helpers, which end before the
// tree is complete: one that leads a session or a group whose leader is gone has
// that leader's pid, any other a negative number, and gets a pid that nobody
// else needs. Task 0 is who restores: its Fork is the first puppet's, with
// CLONE_PARENT, and it waits by itself.
type Step struct {
	Kind       StepKind
	Task       int32
	Child      int32  // Fork, Bury
	Helper     bool   // Fork: Child ends before the tree is complete
	Flags      uint64 // Fork: CLONE_PARENT, and CLONE_* for what the two share; Leave
	ExitSignal uint32 // Fork, without CLONE_PARENT
	Pgid       int32  // Setpgid
	On         bool   // Adopt
}

// OuterGroup is the Pgid of the group of who restores.
const OuterGroup = -1

// Caller is where who restores stands, by the numbers that the tree sees. A
// session or group that its leader has left, with the same number, is the
// caller's. 0: none is.
type Caller struct{ Session, Group int32 }

// Tree plans the making of all processes, for a caller who has nothing of the
// image's. An image whose shape no order of steps gives is an error that names
// the task: what this function accepts, restore can make.
func Tree(tasks []*record.Task) ([]Step, error) { return TreeFor(tasks, Caller{}) }

// TreeFor plans the making of all processes: each as a child of its parent, in
// its session and group, with what it shares. A session or group that leads out
// of the tree becomes the caller's. The time that it takes grows with n log n.
func TreeFor(tasks []*record.Task, who Caller) ([]Step, error) {
	budget := mostWork
	var first error
	for way := range ways {
		steps, err := tree(tasks, who, way, &budget)
		if first == nil {
			first = err
		}
		if err == nil || !errors.Is(err, errOrder) {
			return steps, err
		}
		if budget < 0 {
			break
		}
	}
	return nil, first
}

const (
	// ways is how many orders are tried in which tasks can get what they share:
	// each fails where another does not, for very odd trees.
	ways = 8
	// mostWork bounds how many nodes are looked at for it, in all.
	mostWork = 1 << 21
)

// errOrder is a shape that one way of ordering the forks does not give.
var errOrder = errors.New("no order of forks gives that")

func tree(tasks []*record.Task, who Caller, way int, budget *int) ([]Step, error) {
	p, err := newShape(tasks, who)
	if err != nil {
		return nil, err
	}
	p.way, p.budget = way, budget
	for _, do := range []func() error{p.checkShape, p.placeSessions, p.chooseMakers, p.makeAll, p.joinGroups} {
		if err := do(); err != nil {
			return nil, err
		}
	}
	p.burySessions()
	return p.steps, nil
}

// taskf is an error about a task.
func taskf(t *record.Task, format string, args ...any) error {
	return fmt.Errorf("task %d (%s) %w", t.Pid, t.Comm, fmt.Errorf(format, args...))
}
