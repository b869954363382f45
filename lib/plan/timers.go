package plan

import (
	"encoding/binary"
	"fmt"
	"sort"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

// maxTimerID bounds the ids of POSIX timers: one is made for each id below.
const maxTimerID = 1 << 14

// Itimers plans setitimer(2)'s timers, which run from then on.
func Itimers(list []*record.Itimer) []stub.Call {
	var calls []stub.Call
	for which, t := range list {
		if t.ValueUs == 0 && t.IntervalUs == 0 {
			continue
		}
		b := make([]byte, 0, 32)
		for _, us := range []uint64{t.IntervalUs, t.ValueUs} {
			b = binary.LittleEndian.AppendUint64(b, us/1e6)
			b = binary.LittleEndian.AppendUint64(b, us%1e6)
		}
		calls = append(calls, stub.Call{What: fmt.Sprintf("setitimer %d", which), Nr: unix.SYS_SETITIMER,
			Args: []stub.Arg{stub.I(which), stub.D(b), stub.I(0)}})
	}
	return calls
}

// PosixTimers plans timer_create(2)'s timers. The kernel numbers a process's
// timers from 0, so the ids between are made too, and deleted again.
func PosixTimers(list []*record.PosixTimer) ([]stub.Call, error) {
	list = append([]*record.PosixTimer(nil), list...)
	sort.Slice(list, func(i, j int) bool { return list[i].Id < list[j].Id })
	var create, finish []stub.Call
	next := int32(0)
	for _, t := range list {
		if t.Id < next || t.Id >= maxTimerID {
			return nil, fmt.Errorf("POSIX timer %d: ids above %d can't be restored yet", t.Id, maxTimerID)
		}
		for ; next < t.Id; next++ {
			create = append(create, timerCreate(&record.PosixTimer{Id: next, Clock: unix.CLOCK_MONOTONIC, Notify: 1}))
			finish = append(finish, stub.Call{What: fmt.Sprintf("timer_delete %d", next), Nr: unix.SYS_TIMER_DELETE, Args: []stub.Arg{stub.I(next)}})
		}
		create = append(create, timerCreate(t))
		next = t.Id + 1
		if t.ValueNs != 0 {
			finish = append(finish, timerSettime(t))
		}
	}
	return append(create, finish...), nil
}

// timerCreate builds struct sigevent: value, signo, notify, tid; 64 bytes.
func timerCreate(t *record.PosixTimer) stub.Call {
	ev := make([]byte, 64)
	le := binary.LittleEndian
	le.PutUint64(ev, t.Sigval)
	le.PutUint32(ev[8:], uint32(t.Signo))
	le.PutUint32(ev[12:], uint32(t.Notify))
	le.PutUint32(ev[16:], uint32(t.Tid))
	return stub.Call{What: fmt.Sprintf("timer_create %d", t.Id), Nr: unix.SYS_TIMER_CREATE,
		Args: []stub.Arg{stub.I(t.Clock), stub.D(ev), stub.D(make([]byte, 4))}}
}

func timerSettime(t *record.PosixTimer) stub.Call {
	b := make([]byte, 0, 32)
	for _, ns := range []uint64{t.IntervalNs, t.ValueNs} {
		b = binary.LittleEndian.AppendUint64(b, ns/1e9)
		b = binary.LittleEndian.AppendUint64(b, ns%1e9)
	}
	return stub.Call{What: fmt.Sprintf("timer_settime %d", t.Id), Nr: unix.SYS_TIMER_SETTIME,
		Args: []stub.Arg{stub.I(t.Id), stub.I(0), stub.D(b), stub.I(0)}}
}
