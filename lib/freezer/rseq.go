package freezer

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/inject"
	"floe/lib/record"
	"floe/lib/stub"
	"floe/lib/tracer"
)

// Before 5.13 nobody but a thread itself can tell where its rseq registration
// is, and not even that: rseq(2) only compares. With a range of addresses that
// no program has it says EFAULT to a thread that has none, EINVAL to one that
// has another; with the right one EBUSY, or EPERM when the signature differs.
// None of these changes anything. So the places where a registration may be are
// tried: libraries have it in thread-local storage, near the thread pointer.
const (
	rseqSize      = 32         // of struct rseq, its alignment, and the only length before 6.3
	rseqSignature = 0x53053053 // of everybody on x86, <sys/rseq.h>
	rseqCS        = 8          // offset of rseq_cs
	rseqBelow     = 64 << 10   // how far around the thread pointer, bytes
	rseqAbove     = 8 << 10
	rseqBatch     = 256
	rseqNowhere   = 1<<64 - 1<<16 // an address of the kernel's
)

// rseqGuess finds a thread's registration on a kernel that can't tell, and ends
// its critical section.
func (c *collector) rseqGuess(g *inject.Guest, th *Thread) (*record.Rseq, error) {
	before, err := c.p.GetRegs(th.TID)
	if err != nil {
		return nil, err
	}
	places := c.rseqPlaces(th.TID, threadPointer(&before))
	cut, err := c.cutSection(th, &before, places)
	if err != nil {
		return nil, err
	}
	r, err := c.findRseq(g, th, places)
	if cut != nil && (err != nil || r == nil || r.Addr != cut.Addr) { // so it was none
		word := binary.LittleEndian.AppendUint64(nil, cut.CriticalSection)
		return r, errors.Join(err, tracer.WriteMem(th.TID, tracer.Addr(cut.Addr+rseqCS), word), c.p.SetRegs(th.TID, &before))
	}
	if cut != nil {
		r = cut
	}
	return r, err
}

// cutSection ends the critical section that a thread is in. That is before the
// place is known for sure: the kernel forgets a section once it sees the thread
// outside of it, in the calls that tell.
func (c *collector) cutSection(th *Thread, before *tracer.Regs, places []rseqPlace) (*record.Rseq, error) {
	for _, p := range places {
		r := &record.Rseq{Addr: p.at, Size: rseqSize, Signature: rseqSignature, CriticalSection: p.section}
		if err := c.abortRseq(th, r); err != nil { // it is none
			if err := c.p.SetRegs(th.TID, before); err != nil {
				return nil, err
			}
		} else if r.CriticalSection != 0 {
			return r, nil
		}
	}
	return nil, nil
}

// findRseq asks the kernel.
func (c *collector) findRseq(g *inject.Guest, th *Thread, places []rseqPlace) (*record.Rseq, error) {
	answers, err := c.askRseq(g, th, []rseqPlace{{at: rseqNowhere}})
	if err != nil {
		return nil, err
	}
	switch answers[0] {
	case unix.EFAULT, unix.ENOSYS:
		return nil, nil
	case unix.EINVAL:
	default:
		return nil, fmt.Errorf("rseq: unexpected answer: %w", answers[0])
	}
	n := 1 // where the thread before had it
	for ; len(places) > 0; n = rseqBatch {
		n = min(n, len(places))
		answers, err := c.askRseq(g, th, places[:n])
		if err != nil {
			return nil, err
		}
		for i, e := range answers {
			switch e {
			case unix.EBUSY:
				c.rseqOffset = places[i].offset
				return &record.Rseq{Addr: places[i].at, Size: rseqSize, Signature: rseqSignature}, nil
			case unix.EPERM:
				return nil, errors.New("its rseq registration has a signature of its own, and this kernel can't tell it (Linux 5.13 can); it can't be saved here")
			}
		}
		places = places[n:]
	}
	return nil, errors.New("it has registered rseq at an address that can't be found, and this kernel can't tell it (Linux 5.13 can); it can't be saved here")
}

// rseqPlace is where a registration may be.
type rseqPlace struct {
	at, offset uint64 // from the thread pointer
	section    uint64 // rseq_cs
}

// rseqPlaces lists them: first the one where the thread before had it, then
// everything near the thread pointer that looks like it.
func (c *collector) rseqPlaces(tid tracer.TID, tp uint64) []rseqPlace {
	var first, list []rseqPlace
	low := (tp - rseqBelow) &^ (rseqSize - 1)
	high := (tp + rseqAbove) &^ (rseqSize - 1)
	const page = 4096
	for at := low; at < high; {
		b := make([]byte, min(high-at, page-at%page))
		if err := tracer.ReadMem(tid, tracer.Addr(at), b); err == nil {
			for off := 0; off+rseqSize <= len(b); off += rseqSize {
				p := rseqPlace{at: at + uint64(off), section: binary.LittleEndian.Uint64(b[off+rseqCS:])}
				p.offset = p.at - tp
				switch {
				case !rseqLike(b[off:]):
				case p.offset == c.rseqOffset:
					first = append(first, p)
				default:
					list = append(list, p)
				}
			}
		}
		at += uint64(len(b))
	}
	return append(first, list...)
}

// rseqLike tells whether memory may be a struct rseq that is registered: the
// kernel writes the number of the processor to two words of it.
func rseqLike(b []byte) bool {
	const processors = 8192 // CONFIG_NR_CPUS at most
	start, id := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	return start == id && id < processors
}

// askRseq asks the kernel about places; the answers are its errors.
func (c *collector) askRseq(g *inject.Guest, th *Thread, places []rseqPlace) ([]unix.Errno, error) {
	regs, err := c.p.GetRegs(th.TID)
	if err != nil {
		return nil, err
	}
	mask, err := c.p.GetSigMask(th.TID)
	if err != nil {
		return nil, err
	}
	var calls []stub.Call
	for _, p := range places {
		calls = append(calls, stub.Call{What: "rseq", Nr: unix.SYS_RSEQ, MayFail: true,
			Args: []stub.Arg{stub.I(p.at), stub.I(rseqSize), stub.I(0), stub.I(uint32(rseqSignature))}})
	}
	var out []unix.Errno
	err = g.Run(c.p, inject.Thread{TID: th.TID, Regs: regs, Mask: mask}, calls, func(results []int64, _ func(int, int) ([]byte, error)) error {
		for _, r := range results {
			out = append(out, unix.Errno(-r))
		}
		return nil
	})
	if err == nil && len(out) != len(places) {
		err = fmt.Errorf("rseq: %d answers of %d", len(out), len(places))
	}
	return out, err
}
