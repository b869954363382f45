package taskiter

import (
	"encoding/binary"
	"math"
)

// Process is what is known of a process's POSIX timers.
type Process struct {
	NextID int32 // that timer_create(2) gives next, if it is not in use
	Timers map[int32]*Timer
}

// Timer is what timer_gettime(2) does not tell of a timer.
type Timer struct {
	// Owner is the thread whose time a timer of CLOCK_THREAD_CPUTIME_ID counts; 0:
	// it has ended. Of no other timer it says anything.
	Owner int32
	// Missed are the expirations since its signal was queued, which delivery reports,
	// as far as the kernel has counted them; -1: none, not even the first.
	Missed int64
	// Since 6.13: it has been set anew since its signal was queued, which the kernel
	// drops when it is to be delivered.
	stale bool
	// Before: what the siginfo has as si_sys_private unless it is from before.
	requeue uint32
	old     bool
}

// Stale tells whether a timer has been set anew since its signal was queued. private
// is the pending siginfo's si_sys_private.
func (t *Timer) Stale(private uint32) bool {
	if t.old {
		return t.requeue != private
	}
	return t.stale
}

// timerLayout is where the fields are that the program of timers copies.
type timerLayout struct {
	pid, tgid, signal   uint32 // task_struct
	next, timers        uint32 // signal_struct
	list                uint32 // k_itimer
	id, owner, missed   uint32
	signalSeq, queueSeq uint32 // 0: the kernel has requeue instead
	requeue             uint32
}

func (t *btf) timerLayout() (l timerLayout, err error) {
	at := func(to *uint32, name string, path ...string) {
		off, _, e := t.offset(name, path...)
		if *to = off; err == nil {
			err = e
		}
	}
	either := func(to *uint32, name, member, before string) {
		off, _, e := t.offset(name, member)
		if *to = off; e != nil {
			at(to, name, before)
		}
	}
	at(&l.pid, "task_struct", "pid")
	at(&l.tgid, "task_struct", "tgid")
	at(&l.signal, "task_struct", "signal")
	either(&l.next, "signal_struct", "next_posix_timer_id", "posix_timer_id")
	at(&l.timers, "signal_struct", "posix_timers")
	at(&l.list, "k_itimer", "list")
	at(&l.id, "k_itimer", "it_id")
	at(&l.owner, "k_itimer", "it", "cpu", "pid")
	at(&l.missed, "k_itimer", "it_overrun")
	if off, _, e := t.offset("k_itimer", "it_signal_seq"); e == nil {
		l.signalSeq = off
		at(&l.queueSeq, "k_itimer", "it_sigqueue_seq")
	} else {
		at(&l.requeue, "k_itimer", "it_requeue_pending")
	}
	return l, err
}

// mostTimers bounds how many timers of a process are read: the verifier follows the
// loop to its end.
const mostTimers = 64

// What the program of timers writes for each process, and for each timer, bytes.
const (
	timerNr     = 0
	timerInum   = 8
	timerNext   = 16
	timerID     = 24 // all ones: it is about the process
	timerOwner  = 32
	timerMissed = 40
	timerSeqs   = 48 // signal, queue
	sizeTimer   = 56
)

// timersProgram copies what the layouts name of the timers of the process whose first
// thread the iterator has come to.
func timersProgram(l *layout, t *timerLayout) []byte {
	const out, tmp, head = -sizeTimer, -sizeTimer - 16, -sizeTimer - 24
	var c code
	c.begin(head)
	c.read(tmp, 4, r7, t.pid)
	c.read(tmp+8, 4, r7, t.tgid)
	c.load(r8, fp, tmp)
	c.load(r9, fp, tmp+8)
	other := c.jump(0x5d, r8, r9, 0) // not the first thread
	c.read(tmp, 8, r7, l.threadPID)
	c.load(r8, fp, tmp)
	c.number(l, tmp, out+timerNr)
	c.read(tmp, 8, r8, l.upids+l.ns)
	c.load(r9, fp, tmp)
	c.read(out+timerInum, 4, r9, l.inum)
	c.read(tmp, 8, r7, t.signal)
	c.load(r7, fp, tmp)
	c.read(out+timerNext, 4, r7, t.next)
	c.op(0x7a, fp, 0, out+timerID, -1)
	c.write(out, sizeTimer)
	c.move(r8, r7)
	c.add(r8, int32(t.timers))
	c.op(0x7b, fp, r8, head, 0) // a list ends at its head, or at 0
	c.read(tmp, 8, r8, 0)
	c.load(r7, fp, tmp)
	c.set(r9, 0)
	loop := len(c)
	end := c.jump(0x15, r7, 0, 0)
	c.load(r8, fp, head)
	round := c.jump(0x1d, r7, r8, 0)
	most := c.jump(0x35, r9, 0, mostTimers)
	c.add(r9, 1)
	c.zero(fp, out+timerID)
	c.zero(fp, out+timerOwner)
	c.read(out+timerID, 4, r7, t.id-t.list)
	c.read(out+timerMissed, 8, r7, t.missed-t.list)
	if t.signalSeq != 0 {
		c.read(out+timerSeqs, 4, r7, t.signalSeq-t.list)
		c.read(out+timerSeqs+4, 4, r7, t.queueSeq-t.list)
	} else {
		c.read(out+timerSeqs, 4, r7, t.requeue-t.list)
	}
	c.read(tmp, 8, r7, t.owner-t.list)
	c.load(r8, fp, tmp)
	c.number(l, tmp, out+timerOwner)
	c.write(out, sizeTimer)
	c.read(tmp, 8, r7, 0) // the next
	c.load(r7, fp, tmp)
	c.op(0x05, 0, 0, int16((loop-len(c))/sizeInsn-1), 0)
	for _, j := range []int{other, end, round, most} {
		c.land(j)
	}
	c.set(r0, 0)
	c.exit()
	return c
}

// number takes the number of the struct pid at r8, which then points to its innermost
// struct upid, less upids.
func (c *code) number(l *layout, tmp, to int16) {
	c.zero(fp, tmp)
	c.read(tmp, 4, r8, l.level)
	c.load(r0, fp, tmp)
	c.multiply(r0, int32(l.upid))
	c.addReg(r8, r0)
	c.read(to, 4, r8, l.upids+l.nr)
}

// write gives n bytes of the stack to the reader.
func (c *code) write(from int16, n int32) {
	c.move(r1, r6)
	c.move(r2, fp)
	c.add(r2, int32(from))
	c.set(r3, n)
	c.call(helperSeqWrite)
}

// jump is a jump to where land is called with its result.
func (c *code) jump(op, dst, src byte, imm int32) int {
	c.op(op, dst, src, 0, imm)
	return len(*c)
}

func (c *code) land(jump int) {
	binary.LittleEndian.PutUint16((*c)[jump-sizeInsn+2:], uint16((len(*c)-jump)/sizeInsn))
}

// Timers reads the POSIX timers of a process; before Linux 6.1 of all. The result is by
// pid. Of timers that a process has beyond mostTimers nothing is read.
func Timers(pid int) (map[int]*Process, error) {
	k, err := theKernel()
	if err != nil {
		return nil, err
	}
	list := map[int]*Process{}
	err = k.each(pid, k.timers, sizeTimer, timerNr, timerInum, func(pid int, b []byte) {
		le := binary.LittleEndian
		if id := le.Uint64(b[timerID:]); id == math.MaxUint64 {
			list[pid] = &Process{NextID: int32(le.Uint32(b[timerNext:])), Timers: map[int32]*Timer{}}
		} else if p := list[pid]; p != nil {
			p.Timers[int32(id)] = &Timer{Owner: int32(le.Uint32(b[timerOwner:])), Missed: int64(le.Uint64(b[timerMissed:])),
				stale: le.Uint32(b[timerSeqs:]) != le.Uint32(b[timerSeqs+4:]), requeue: le.Uint32(b[timerSeqs:]), old: k.timerLayout.signalSeq == 0}
		}
	})
	return list, err
}
