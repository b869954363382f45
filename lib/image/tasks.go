package image

import (
	"fmt"

	"floe/lib/record"
)

// Sizes and numbers of the kernel's.
const (
	signals      = 64
	resources    = 16
	itimers      = 3
	sizeSigInfo  = 128
	maxGroups    = 65536    // NGROUPS_MAX
	maxXstate    = 64 << 10 // no processor has more yet
	maxAffinity  = 8 << 10  // bytes of a cpu_set_t, so 65536 processors
	maxComm      = 15       // TASK_COMM_LEN less the zero
	maxPathBytes = 4096     // PATH_MAX
)

func (im *Image) checkHeader() error {
	h := im.Header
	switch {
	case h.Arch == "":
		return fmt.Errorf("the header names no architecture")
	case h.PageSize != pageSize:
		return fmt.Errorf("the image has pages of %d bytes; this version knows %d", h.PageSize, pageSize)
	case len(im.Tasks) == 0:
		return fmt.Errorf("the image has no task")
	case im.Tasks[0].Pid != h.RootPid:
		return fmt.Errorf("the first task is %d, not the root %d", im.Tasks[0].Pid, h.RootPid)
	case !live(im.Tasks[0]):
		return fmt.Errorf("the root task %d is a zombie", h.RootPid)
	case im.task[im.Tasks[0].Ppid] != nil:
		return fmt.Errorf("the root task %d has a parent that is in its own tree, task %d", h.RootPid, im.Tasks[0].Ppid)
	}
	return nil
}

// taskError says which task an error is about.
func taskError(t *record.Task, format string, args ...any) error {
	return fmt.Errorf("task %d (%s): %w", t.Pid, t.Comm, fmt.Errorf(format, args...))
}

// checkTasks checks every task and that no thread id is used twice.
func (im *Image) checkTasks() error {
	owner := map[int32]int32{}
	for _, t := range im.Tasks {
		for _, tid := range append([]int32{t.Pid}, t.Tids...) {
			if pid, taken := owner[tid]; taken && pid != t.Pid {
				return taskError(t, "thread %d is of task %d, too", tid, pid)
			}
			owner[tid] = t.Pid
		}
		if err := checkLife(t); err != nil {
			return err
		}
		if err := checkTask(t); err != nil {
			return err
		}
	}
	for tid := range im.threads.index.all() {
		if pid, ok := owner[tid]; !ok || pid != im.Thread(tid).GetPid() {
			return fmt.Errorf("thread %d belongs to no task that names it", tid)
		}
	}
	return nil
}

func checkTask(t *record.Task) error {
	if !t.State.Known() {
		return taskError(t, "state %d: %w", t.State, ErrUnknown)
	}
	// 0 is a group or session from outside of the pid namespace, where somebody
	// else leads it.
	if t.Pgid < 0 || t.Sid < 0 || t.Pgid == 0 && (t.Sid != 0 || t.GroupGone) || t.Sid == 0 && t.SessionGone {
		return taskError(t, "process group %d, session %d: there is no such thing", t.Pgid, t.Sid)
	}
	if t.ExitSignal > signals || t.StopSignal > signals {
		return taskError(t, "signal %d: there is no such signal", max(t.ExitSignal, t.StopSignal))
	}
	if !live(t) {
		if c := t.GetAttrs().GetZombie(); c != nil {
			return checkCreds(t, &record.Thread{Tid: t.Pid, Creds: c})
		}
		return nil
	}
	if t.MmId == 0 || t.FilesId == 0 || t.FsId == 0 || t.SighandId == 0 {
		return taskError(t, "it is alive and lacks memory, files, directories or signal actions")
	}
	for _, l := range []struct {
		what      string
		got, want int
	}{{"limits", len(t.Limits), resources}, {"signal actions", len(t.Actions), signals}, {"interval timers", len(t.Itimers), itimers}} {
		if l.got != l.want {
			return taskError(t, "it has %d %s, not %d", l.got, l.what, l.want)
		}
	}
	seen := map[int32]bool{}
	for i, tid := range t.Tids {
		if seen[tid] || tid <= 0 {
			return taskError(t, "thread %d is listed twice, or can't be", tid)
		}
		if seen[tid] = true; i == 0 && tid != t.Pid {
			return taskError(t, "its first thread is %d", tid)
		}
	}
	if err := checkTaskFields(t); err != nil {
		return err
	}
	if err := checkTimers(t, seen); err != nil {
		return err
	}
	return checkPending(t, t.Pending)
}

// checkThreads checks the threads of every task that is alive.
func (im *Image) checkThreads() error {
	for _, t := range im.Tasks {
		if !live(t) {
			continue
		}
		if len(t.Tids) == 0 {
			return taskError(t, "it is alive and has no thread")
		}
		for _, tid := range t.Tids {
			th := im.Thread(tid)
			if th == nil {
				return taskError(t, "its thread %d is not in the image", tid)
			}
			if err := im.checkThread(t, th); err != nil {
				return err
			}
		}
	}
	return nil
}
