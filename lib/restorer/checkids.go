package restorer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/plan"
	"floe/lib/procfs"
)

// checkIDs checks that the ids of the tree's tasks are to be had.
func (r *Restorer) checkIDs(ctx context.Context, report reasons) error {
	ids, err := newIDs(ctx)
	if err != nil {
		return err
	}
	defer ids.close()
	check := func(id int32) error {
		if ids.seen[id] {
			return nil
		}
		ids.seen[id] = true
		why, err := ids.taken(id)
		if err != nil || why == nil {
			return err
		}
		return report(why)
	}
	for id := range r.neededIDs() {
		if err := check(id); err != nil {
			return err
		}
	}
	return nil
}

// neededIDs are the ids that tasks of the tree and their threads must get, and
// leaders that the image has no task for. Some come twice.
func (r *Restorer) neededIDs() iter.Seq[int32] {
	return func(yield func(int32) bool) {
		for _, t := range r.im.Tasks {
			for _, tid := range append([]int32{t.Pid}, t.Tids...) {
				if !yield(tid) {
					return
				}
			}
		}
		for _, s := range r.steps {
			if s.Kind == plan.Fork && s.Child > 0 && !yield(s.Child) {
				return
			}
		}
	}
}

// spareID is an id for a helper: free, needed by nobody of the tree, and another
// one each time. It is one from the end, where the kernel comes last.
func (r *Restorer) spareID() (int32, error) {
	ids, err := newIDs(context.Background())
	if err != nil {
		return 0, err
	}
	defer ids.close()
	if r.needed == nil {
		r.spare, r.needed = ids.max, map[int32]bool{}
		for id := range r.neededIDs() {
			r.needed[id] = true
		}
	}
	const reserved = 300 // RESERVED_PIDS: the kernel's own come before
	for r.spare--; r.spare > reserved; r.spare-- {
		if !r.needed[r.spare] && ids.free(r.spare) {
			return r.spare, nil
		}
	}
	return 0, fmt.Errorf("no process id is left for a helper; %s", strings.TrimPrefix(elsewhere, "; end it, or "))
}

// ids looks for the holders of ids.
type ids struct {
	ctx   context.Context
	fd    int   // a descriptor of no use
	max   int32 // no id is as high
	until time.Time
	seen  map[int32]bool
}

// zombieWait is how long, in all, the holders of ids may stay zombies: the init
// of some containers looks for its orphans only now and then.
const zombieWait = 5 * time.Second

func newIDs(ctx context.Context) (*ids, error) {
	b, err := procfs.ReadFile("/proc/sys/kernel/pid_max")
	if err != nil {
		return nil, err
	}
	most, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 32)
	if err != nil {
		return nil, fmt.Errorf("/proc/sys/kernel/pid_max: %w", err)
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	return &ids{ctx: ctx, fd: fd, max: int32(most), until: time.Now().Add(zombieWait), seen: map[int32]bool{}}, nil
}

func (x *ids) close() { unix.Close(x.fd) }

// taken tells why no task can get an id; nil when one can.
func (x *ids) taken(id int32) (why, err error) {
	if id >= x.max {
		return fmt.Errorf("pid %d: the highest of this system is %d; raise kernel.pid_max", id, x.max-1), nil
	}
	for !x.free(id) {
		zombie, why := holder(id)
		if !zombie || time.Now().After(x.until) {
			return why, nil
		}
		select {
		case <-x.ctx.Done():
			return nil, context.Cause(x.ctx)
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil, nil
}

// free tells whether an id is in no use at all: also not as that of a session or
// a process group whose leader is gone, for which the kernel keeps it. Any
// number that is in use can be made the owner of a descriptor, and no other.
func (x *ids) free(id int32) bool {
	_, err := unix.FcntlInt(uintptr(x.fd), unix.F_SETOWN, int(id))
	return errors.Is(err, unix.ESRCH)
}

const elsewhere = "; end it, or restore in a pid namespace of its own (unshare --pid --fork --mount-proc)"

// holder is an error that names the holder of an id.
func holder(id int32) (zombie bool, _ error) {
	// One file, so that all of it is of one moment: it may be reaped meanwhile.
	s, err := procfs.ReadStat(int(id))
	if err != nil {
		return group(id)
	}
	state := ""
	if s.State == 'Z' || s.State == 'X' {
		zombie, state = true, ", a zombie that its parent has not waited for"
	}
	return zombie, fmt.Errorf("pid %d is taken by %q%s%s", id, s.Comm, state, elsewhere)
}

// group is an error that names a process of the session or group with an id.
func group(id int32) (zombie bool, _ error) {
	pids, err := procfs.Processes()
	if err != nil {
		return false, err
	}
	for _, pid := range pids {
		s, err := procfs.ReadStat(pid)
		if err != nil || s.Session != int(id) && s.PGRP != int(id) {
			continue
		}
		what := "process group"
		if s.Session == int(id) {
			what = "session"
		}
		return s.State == 'Z', fmt.Errorf("pid %d is taken: it is the %s of process %d (%s)%s", id, what, pid, s.Comm, elsewhere)
	}
	// It has ended meanwhile, or is not to be seen.
	return true, fmt.Errorf("pid %d is taken by a process that /proc does not show%s", id, elsewhere)
}

// ownOOMScore tells whether oom_score_adj can be set as low as this: by trying,
// and setting it back. Lowering it needs CAP_SYS_RESOURCE, but for what it was
// once.
func ownOOMScore(low int32) bool {
	const name = "/proc/self/oom_score_adj"
	b, err := procfs.ReadFile(name)
	if err != nil {
		return false
	}
	have, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || have <= int(low) {
		return err == nil
	}
	if os.WriteFile(name, []byte(strconv.Itoa(int(low))), 0) != nil {
		return false
	}
	return os.WriteFile(name, b, 0) == nil
}
