package shapes

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Of each kind, what a run's folder has: f0…, d0…, p0….
const files, folders, fifos = 8, 3, 3

// tree is a victim at work.
type tree struct {
	*worker
	c       *control
	program *Program
	root    int
	result  *Result
}

var sizes = [files]int64{0, 1, 100, 4096, 5000, 20000, 70000, 65536}

// prepare makes the files, some with a hole.
func (w *worker) prepare() error {
	for i, size := range sizes {
		name := fmt.Sprintf("f%d", i)
		data := bytes.Repeat([]byte{byte('0' + i)}, int(min(size, 9000)))
		if err := os.WriteFile(name, data, 0o666); err != nil {
			return err
		}
		if err := os.Truncate(name, size); err != nil {
			return err
		}
		if err := os.Chmod(name, 0o666); err != nil {
			return err
		}
	}
	for i := range folders {
		if err := os.Mkdir(fmt.Sprintf("d%d", i), 0o755); err != nil {
			return err
		}
	}
	for i := range fifos {
		if err := unix.Mkfifo(fmt.Sprintf("p%d", i), 0o644); err != nil {
			return err
		}
		if err := os.Chmod(fmt.Sprintf("p%d", i), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// firstPID is where the pids of a victim begin.
const firstPID = 300

// start starts the root.
func (w *worker) start(p *Program) (*tree, error) {
	if err := w.prepare(); err != nil {
		return nil, err
	}
	c, err := mapControl("control", w.dir)
	if err != nil {
		return nil, err
	}
	t := &tree{worker: w, c: c, program: p, result: &Result{Codes: map[string]int{}}}
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(firstPID-1)), 0); err != nil {
		return nil, err
	}
	attr := &unix.SysProcAttr{Setsid: p.Root == 0, Setpgid: p.Root == 1}
	t.root, err = w.spawn([3]*os.File{null, null, null}, attr, filepath.Join(w.dir, "victim"), filepath.Join(w.dir, "control"), "00")
	if err != nil {
		return nil, err
	}
	if !t.until(func() bool { return atomic.LoadUint32(&c.slot[0].up) != 0 }) {
		return nil, fmt.Errorf("the victim has not begun")
	}
	return t, nil
}

// until waits for what a task does next, and rings the bell for.
func (t *tree) until(done func() bool) bool {
	end := time.Now().Add(5 * time.Second)
	for {
		bell := atomic.LoadUint32(&t.c.bell)
		if done() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
		t.c.await(bell, time.Millisecond)
	}
}

// run carries out an operation, in the task of a slot if it can.
func (t *tree) run(s Step) (bool, error) {
	slot := &t.c.slot[s.Task]
	o := &ops[s.Code]
	if !t.ready(s.Task) || o.group == "kill" && t.endsRoot(s) {
		return false, nil
	}
	slot.op.code, slot.op.result = uint32(s.Code), -1
	copy(slot.op.arg[:], s.Args)
	turn := atomic.AddUint32(&slot.turn, 1)
	wake(&slot.turn)
	var child *controlSlot
	if o.name == "fork" {
		child = &t.c.slot[s.Args[0]]
	}
	over := t.until(func() bool {
		if atomic.LoadUint32(&slot.done) == turn {
			return child == nil || slot.op.result < 0 || atomic.LoadUint32(&child.up) != 0 || !t.alive(int(s.Args[0]))
		}
		// A fork by vfork ends when the child does; waiting for good never.
		if child != nil && s.Args[1]&unix.CLONE_VFORK != 0 && atomic.LoadUint32(&child.up) != 0 {
			return true
		}
		return atomic.LoadUint32(&slot.blocked) != 0 || !t.alive(s.Task) || t.state(s.Task) == 'T'
	})
	if !over {
		return false, &failure{outcome: Broken, reason: fmt.Sprintf("%s takes for ever", o.name), detail: s.String()}
	}
	t.result.Carried++
	if slot.op.result >= 0 || !t.ready(s.Task) || o.name == "exec" {
		t.result.Worked++
		t.result.Codes[o.name]++
	}
	if o.settles || o.name == "block" {
		return true, t.settle()
	}
	return true, nil
}

// ready tells whether a slot's task waits for its turn.
func (t *tree) ready(slot int) bool {
	s := &t.c.slot[slot]
	return atomic.LoadUint32(&s.up) != 0 && atomic.LoadUint32(&s.blocked) == 0 &&
		atomic.LoadUint32(&s.done) == atomic.LoadUint32(&s.turn) && t.alive(slot) && t.state(slot) != 'T'
}

func (t *tree) alive(slot int) bool {
	s := t.state(slot)
	return s != 0 && s != 'Z' && s != 'X'
}

// state is a task's, 0 for one that is gone.
func (t *tree) state(slot int) byte {
	if tid := atomic.LoadUint32(&t.c.slot[slot].tid); tid != 0 {
		return stateOf(int(tid))
	}
	return 0
}

func stateOf(tid int) byte {
	b := readProc("/proc/" + strconv.Itoa(tid) + "/stat")
	if i := bytes.LastIndexByte(b, ')'); i >= 0 && i+2 < len(b) {
		return b[i+2]
	}
	return 0
}

// settle waits until every task sleeps, has stopped or ended, twice in a row:
// a signal may be on its way to one that has been looked at.
func (t *tree) settle() error {
	end := time.Now().Add(3 * time.Second)
	for still := 0; still < 2; {
		still++
		for _, pid := range processes() {
			for _, tid := range numbersIn(fmt.Sprintf("/proc/%d/task", pid)) {
				if !t.rests(tid) {
					still = 0
				}
			}
		}
		t.sweep()
		if still == 0 {
			if time.Now().After(end) {
				return &failure{outcome: Broken, reason: "a task is always running"}
			}
			time.Sleep(50 * time.Microsecond)
		}
	}
	return nil
}

// rests tells whether a task does nothing. One that is in D does when it waits
// for its vfork child; else it is about to wake.
func (t *tree) rests(tid int) bool {
	switch stateOf(tid) {
	case 0, 'T', 'Z', 'X':
		return true
	case 'S', 'D':
		b := readProc(fmt.Sprintf("/proc/%d/syscall", tid))
		return len(b) > 0 && b[0] != 'r' && (stateOf(tid) == 'S' || bytes.HasPrefix(b, cloneCall))
	}
	return false
}

// cloneCall is how a line of /proc/PID/syscall begins for clone3(2).
var cloneCall = []byte("435 ")
