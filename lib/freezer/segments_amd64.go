package freezer

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/tracer"
)

// trapFlag is TF of the flags register.
const trapFlag = 0x100

// segments refuses a thread with parts of the processor's state that can't be
// set again: set_thread_area(2) has no 64-bit entry, ioperm(2) shows what ports
// are open but not who may close them, and a trap after each instruction would
// hit floe's own code first.
func (c *collector) segments(th *Thread, g *tracer.Regs) error {
	if g.Eflags&trapFlag != 0 {
		return fmt.Errorf("thread %d traps after each instruction (trap flag), which can't be saved", th.TID)
	}
	switch own, err := c.p.ThreadAreas(th.TID); {
	case err != nil && !errors.Is(err, unix.EIO): // EIO: a kernel without 32-bit programs
		return err
	case own:
		return fmt.Errorf("thread %d has segments of its own (set_thread_area), which can't be saved yet", th.TID)
	}
	switch open, err := c.p.Ports(th.TID); {
	case err != nil:
		return err
	case open:
		return fmt.Errorf("thread %d has access to I/O ports (ioperm), which can't be saved yet", th.TID)
	}
	return nil
}
