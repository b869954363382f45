package taskiter

import "encoding/binary"

// layout is where the fields are that the program copies.
type layout struct {
	block, blockSize        uint32 // task_struct.restart_block
	threadPID, level, upids uint32 // task_struct.thread_pid; pid.level, .numbers
	upid, nr, ns            uint32 // struct upid: its size, members
	inum                    uint32 // pid_namespace.ns.inum
	undo, undos             uint32 // task_struct.sysvsem.undo_list; sem_undo_list.list_proc
	fields                  blockFields
	iter                    uint32 // type of the function bpf_iter_task
}

// blockFields is where the members of struct restart_block are.
type blockFields struct {
	futexAddr, futexVal, futexTime      uint32
	sleepClock, sleepExpires, sleepRmtp uint32
	pollFDs, pollN, pollTimed, pollSec  uint32
}

func (t *btf) layout() (l layout, err error) {
	at := func(to *uint32, name string, path ...string) uint32 {
		off, size, e := t.offset(name, path...)
		if *to = off; err == nil {
			err = e
		}
		return size
	}
	l.blockSize = at(&l.block, "task_struct", "restart_block")
	at(&l.threadPID, "task_struct", "thread_pid")
	at(&l.undo, "task_struct", "sysvsem", "undo_list")
	at(&l.undos, "sem_undo_list", "list_proc")
	at(&l.level, "pid", "level")
	at(&l.upids, "pid", "numbers")
	var none uint32
	l.upid = at(&none, "upid")
	at(&l.nr, "upid", "nr")
	at(&l.ns, "upid", "ns")
	at(&l.inum, "pid_namespace", "ns", "inum")
	f := &l.fields
	at(&f.futexAddr, "restart_block", "futex", "uaddr")
	at(&f.futexVal, "restart_block", "futex", "val")
	at(&f.futexTime, "restart_block", "futex", "time")
	at(&f.sleepClock, "restart_block", "nanosleep", "clockid")
	at(&f.sleepRmtp, "restart_block", "nanosleep", "rmtp")
	at(&f.sleepExpires, "restart_block", "nanosleep", "expires")
	at(&f.pollFDs, "restart_block", "poll", "ufds")
	at(&f.pollN, "restart_block", "poll", "nfds")
	at(&f.pollTimed, "restart_block", "poll", "has_timeout")
	if _, _, e := t.offset("restart_block", "poll", "end_time"); e == nil { // a timespec64
		at(&f.pollSec, "restart_block", "poll", "end_time")
	} else {
		at(&f.pollSec, "restart_block", "poll", "tv_sec") // tv_nsec is behind it
	}
	if err == nil {
		l.iter, err = t.find(kindFunc, "bpf_iter_task")
	}
	return l, err
}

// What the program writes for each task, bytes.
const (
	outBlock = 0
	outNr    = 128
	outInum  = 136
	outUndo  = 144 // 0: the list has no entry
	outHead  = 152 // where it is; list_proc's offset: there is none
	sizeOut  = 160

	mostBlock = 128
)

// Registers, and helpers of <linux/bpf.h>.
const (
	r0, r1, r2, r3, r6, r7, r8, r9, fp = 0, 1, 2, 3, 6, 7, 8, 9, 10

	helperProbeReadKernel = 113
	helperSeqWrite        = 127
)

// code is a BPF program in the making.
type code []byte

func (c *code) op(op byte, dst, src byte, off int16, imm int32) {
	b := append(*c, op, src<<4|dst)
	b = binary.LittleEndian.AppendUint16(b, uint16(off))
	*c = binary.LittleEndian.AppendUint32(b, uint32(imm))
}

func (c *code) load(dst, src byte, off int16)  { c.op(0x79, dst, src, off, 0) } // 8 bytes
func (c *code) load4(dst, src byte, off int16) { c.op(0x61, dst, src, off, 0) }
func (c *code) zero(dst byte, off int16)       { c.op(0x7a, dst, 0, off, 0) } // 8 bytes
func (c *code) move(dst, src byte)             { c.op(0xbf, dst, src, 0, 0) }
func (c *code) set(dst byte, v int32)          { c.op(0xb7, dst, 0, 0, v) }
func (c *code) add(dst byte, v int32)          { c.op(0x07, dst, 0, 0, v) }
func (c *code) multiply(dst byte, v int32)     { c.op(0x27, dst, 0, 0, v) }
func (c *code) addReg(dst, src byte)           { c.op(0x0f, dst, src, 0, 0) }
func (c *code) skipUnless0(reg byte, n int16)  { c.op(0x55, reg, 0, n, 0) }
func (c *code) call(helper int32)              { c.op(0x85, 0, 0, 0, helper) }
func (c *code) exit()                          { c.op(0x95, 0, 0, 0, 0) }

// read copies n bytes of the kernel at register from, plus off, to the stack. What
// can't be read is zeros.
func (c *code) read(to int16, n uint32, from byte, off uint32) {
	c.move(r1, fp)
	c.add(r1, int32(to))
	c.set(r2, int32(n))
	c.move(r3, from)
	c.add(r3, int32(off))
	c.call(helperProbeReadKernel)
}

// begin has the file in r6 and the task in r7, and ends where there is no task. The
// stack is zeros from an offset up.
func (c *code) begin(from int16) {
	c.load(r6, r1, 0) // struct bpf_iter__task: meta, task
	c.load(r7, r1, 8)
	c.skipUnless0(r7, 2)
	c.set(r0, 0)
	c.exit()
	c.load(r6, r6, 0) // meta->seq
	for at := from; at < 0; at += 8 {
		c.zero(fp, at)
	}
}

// program copies what layout names of the task that the iterator has come to.
func program(l *layout) []byte {
	const out, tmp = -sizeOut, -sizeOut - 32
	var c code
	c.begin(tmp)
	c.read(out+outBlock, l.blockSize, r7, l.block)
	c.read(tmp, 8, r7, l.undo)
	c.load(r8, fp, tmp)
	c.add(r8, int32(l.undos))
	c.read(tmp, 8, r8, 0) // the first entry of the list, or its head
	c.load(r9, fp, tmp)
	c.op(0x1f, r9, r8, 0, 0) // r9 -= r8
	c.op(0x7b, fp, r9, out+outUndo, 0)
	c.op(0x7b, fp, r8, out+outHead, 0)
	c.read(tmp, 8, r7, l.threadPID)
	c.load(r8, fp, tmp)
	c.read(tmp+8, 4, r8, l.level)
	c.load4(r9, fp, tmp+8)
	c.multiply(r9, int32(l.upid))
	c.addReg(r8, r9) // &numbers[level]
	c.read(out+outNr, 4, r8, l.upids+l.nr)
	c.read(tmp, 8, r8, l.upids+l.ns)
	c.load(r8, fp, tmp)
	c.read(out+outInum, 4, r8, l.inum)
	c.write(out, sizeOut)
	c.set(r0, 0)
	c.exit()
	return c
}
