package attr

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"floe/lib/procfs"
	"floe/lib/record"
	"floe/lib/stub"
)

// Own reads the calling process's own attributes as those of any other: what the
// tasks that it makes inherit.
func Own() (*record.Task, *record.Thread, *procfs.Status, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l := &Live{PID: os.Getpid(), TID: unix.Gettid(), Dump: &Dump{}}
	var err error
	if l.Status, err = procfs.ReadStatus(l.TID); err != nil {
		return nil, nil, nil, err
	}
	if l.Stat, err = procfs.ReadThreadStat(l.PID, l.TID); err != nil {
		return nil, nil, nil, err
	}
	t := &record.Task{Pid: int32(l.PID), Attrs: &record.ProcessAttrs{}}
	th := &record.Thread{Pid: int32(l.PID), Tid: int32(l.TID), Attrs: &record.ThreadAttrs{}, Sched: &record.Sched{}}
	l.Leader = t
	for _, f := range []func() error{
		func() error { return LookProcess(l, t) }, func() error { return LookThread(l, th) },
		func() error { return answer(AskProcess(l, t)) }, func() error { return answer(AskThread(l, th)) },
	} {
		if err := f(); err != nil {
			return nil, nil, nil, fmt.Errorf("restore itself: %w", err)
		}
	}
	return t, th, l.Status, nil
}

// answer makes the calls here.
func answer(q *Questions) error {
	results := make([]int64, len(q.Calls))
	for i, c := range q.Calls {
		var args [6]uintptr
		for j, a := range c.Args {
			if args[j] = uintptr(a.Val); a.Kind == stub.Data {
				args[j] = uintptr(unsafe.Pointer(&a.Bytes[0]))
			}
		}
		r, _, e := unix.RawSyscall6(uintptr(c.Nr), args[0], args[1], args[2], args[3], args[4], args[5])
		if results[i] = int64(r); e != 0 {
			results[i] = -int64(e)
		}
		runtime.KeepAlive(c)
	}
	return q.Answer(results, func(call, arg int) ([]byte, error) { return q.Calls[call].Args[arg].Bytes, nil })
}
