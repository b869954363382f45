package restorer

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/clocks"
	"floe/lib/record"
	"floe/lib/stub"
	"floe/lib/tracer"
)

// setClocks has the first puppet's children born into a time namespace in which
// the image's clocks go on, where those of this boot don't do that by
// themselves.
func (r *Restorer) setClocks(p *tracer.Ptrace) error {
	want := r.clocks
	own, err := clocks.Own()
	if err != nil || want == own {
		return err
	}
	_, err = r.arena.Run(p, r.seed.TID, []stub.Call{{What: "time namespace", Nr: unix.SYS_UNSHARE, Args: []stub.Arg{stub.I(unix.CLONE_NEWTIME)}}})
	if err == nil {
		err = clocks.WriteOffsets(int(r.seed.TID), want)
	}
	if err != nil {
		return fmt.Errorf("the image's clocks can't go on here: %w; restore --clocks host gives the tree those of this boot", err)
	}
	return nil
}

// planClocks decides what offsets the tree's clocks get, once: deadlines are
// taken from the same.
func (r *Restorer) planClocks() error {
	own, err := clocks.Own()
	if err != nil {
		return err
	}
	r.clocks, err = r.offsets(own)
	return err
}

// frozenAt is when the tree was frozen, by this boot's clocks: where its own go
// on, an absolute deadline is as far from now as it was from then. Nil where they
// don't.
func (r *Restorer) frozenAt() *record.Clocks {
	was := r.im.Header.Clocks
	if r.opt.HostClocks || was == nil {
		return nil
	}
	return &record.Clocks{
		RealtimeNs:  was.RealtimeNs,
		MonotonicNs: was.MonotonicNs + was.MonotonicOffsetNs - r.clocks.Monotonic,
		BoottimeNs:  was.BoottimeNs + was.BoottimeOffsetNs - r.clocks.Boottime,
	}
}

// offsets are those that the tree's clocks are to have.
func (r *Restorer) offsets(own clocks.Offsets) (clocks.Offsets, error) {
	was := r.im.Header.Clocks
	if r.opt.HostClocks || was == nil {
		return own, nil
	}
	want := clocks.Offsets{Monotonic: was.MonotonicOffsetNs, Boottime: was.BoottimeOffsetNs}
	boot, err := clocks.BootID()
	if err != nil || boot == r.im.Header.BootId {
		return want, err
	}
	now, err := clocks.Now()
	if err != nil {
		return own, err
	}
	want.Monotonic += was.MonotonicNs - now.MonotonicNs
	want.Boottime += was.BoottimeNs - now.BoottimeNs
	return want, nil
}
