package restorer

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/cpu"
	"floe/lib/plan"
	"floe/lib/procfs"
	"floe/lib/record"
)

// self is what the puppets inherit from this process.
type self struct {
	limits   []*record.Limit
	bounding uint64 // capabilities
	canRaise bool   // CAP_SYS_RESOURCE

	droppable bool // the kernel has MAP_DROPPABLE
	timerIDs  bool // and PR_TIMER_CREATE_RESTORE_IDS
}

func readSelf() (self, error) {
	var s self
	for r := range 16 {
		var l unix.Rlimit
		if err := unix.Prlimit(0, r, nil, &l); err != nil {
			return s, fmt.Errorf("limit %d: %w", r, err)
		}
		s.limits = append(s.limits, &record.Limit{Cur: l.Cur, Max: l.Max})
	}
	status, err := procfs.ReadFile("/proc/self/status")
	if err != nil {
		return s, err
	}
	caps := func(name string) uint64 {
		_, rest, _ := bytes.Cut(status, []byte("\n"+name+":\t"))
		line, _, _ := bytes.Cut(rest, []byte("\n"))
		v, _ := strconv.ParseUint(string(line), 16, 64)
		return v
	}
	s.bounding = caps("CapBnd")
	s.canRaise = caps("CapEff")>>unix.CAP_SYS_RESOURCE&1 != 0
	if b, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_ANONYMOUS|unix.MAP_DROPPABLE); err == nil {
		s.droppable = true
		_ = unix.Munmap(b)
	}
	const prTimerCreateRestoreIDs, get = 77, 2 // <linux/prctl.h>, 6.15
	s.timerIDs = unix.Prctl(prTimerCreateRestoreIDs, get, 0, 0, 0) == nil
	return s, nil
}

// check compares the image with this machine. Nothing has been made yet.
func (r *Restorer) check() error {
	var err error
	if h := r.im.Header; h.Arch != runtime.GOARCH {
		return fmt.Errorf("the image is of a %s machine, this is %s", h.Arch, runtime.GOARCH)
	} else if int(h.PageSize) != os.Getpagesize() {
		return fmt.Errorf("the image has pages of %d bytes, this kernel has %d", h.PageSize, os.Getpagesize())
	}
	if r.own, err = readSelf(); err != nil {
		return err
	}
	if err := r.checkCPU(); err != nil {
		return err
	}
	if r.shares, err = plan.NewSharing(r.im.Tasks); err != nil {
		return err
	}
	if r.steps, err = plan.Tree(r.im.Tasks); err != nil {
		return err
	}
	for _, t := range r.im.Tasks {
		if err := r.checkTask(t); err != nil {
			return err
		}
	}
	for _, s := range r.steps { // leaders that the image has no task for, too
		if s.Kind == plan.Fork {
			if err := pidFree(s.Child.Pid); err != nil {
				return err
			}
		}
	}
	return r.checkVDSOs()
}

func (r *Restorer) checkTask(t *record.Task) error {
	for _, tid := range append([]int32{t.Pid}, t.Tids...) {
		if err := pidFree(tid); err != nil {
			return err
		}
	}
	return nil
}

// zombieWait is how long the holder of an id may stay a zombie: the init of some
// containers looks for its orphans only now and then.
const zombieWait = 5 * time.Second

// pidFree tells who has an id that a task of the image needs.
func pidFree(pid int32) error {
	for until := time.Now().Add(zombieWait); ; time.Sleep(5 * time.Millisecond) {
		zombie, err := holder(pid)
		if err == nil || !zombie || time.Now().After(until) {
			return err
		}
	}
}

// holder is an error that names the holder of an id, if it has one.
func holder(pid int32) (zombie bool, _ error) {
	comm, err := procfs.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if os.IsNotExist(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("pid %d: %w", pid, err)
	}
	name := strings.TrimSpace(string(comm))
	state := ""
	if stat, err := procfs.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
		if i := bytes.LastIndexByte(stat, ')'); i >= 0 && i+2 < len(stat) && stat[i+2] == 'Z' {
			zombie, state = true, ", a zombie that its parent has not waited for"
		}
	}
	return zombie, fmt.Errorf("pid %d is taken by %q%s; end it, or restore in a pid namespace of its own (unshare --pid --fork --mount-proc)", pid, name, state)
}

// checkCPU takes what the threads have in registers to this processor's layout,
// and warns of instructions that it lacks: only the programs know whether they
// use them.
func (r *Restorer) checkCPU() error {
	from := r.im.Header.Cpu
	if from == nil {
		return fmt.Errorf("the image does not say which processor it comes from")
	}
	var err error
	if r.cpu, err = cpu.Here(); err != nil {
		return err
	}
	if missing := cpu.Lacks(from, r.cpu); len(missing) > 0 && r.opt.Warnf != nil {
		r.opt.Warnf("this processor lacks features of the one that the image comes from: %s; programs that use them will fail", strings.Join(missing, " "))
	}
	for _, t := range r.im.Tasks {
		if t.State == record.Task_ZOMBIE {
			continue
		}
		for _, tid := range t.Tids {
			th := r.im.Thread(tid)
			if _, err := cpu.XState(th.GetXstate(), from, r.cpu); err != nil {
				return fmt.Errorf("thread %d (%s): %w", tid, th.GetComm(), err)
			}
		}
	}
	return nil
}
