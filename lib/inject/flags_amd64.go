package inject

import (
	"encoding/binary"

	"floe/lib/tracer"
)

// SetFlags sets flags of a puppet that stay until it changes them itself: those
// that are not its tracer's to set. flags is the whole register.
func (a *Arena) SetFlags(p *tracer.Ptrace, tid tracer.TID, flags uint64) error {
	if err := tracer.WriteMem(tid, tracer.Addr(a.table()), binary.LittleEndian.AppendUint64(nil, flags)); err != nil {
		return err
	}
	regs := baseRegs()
	regs.Rip, regs.Rsp = a.Base+a.code.Flags, a.table()
	_, err := runToTrap(p, tid, &regs)
	return err
}
