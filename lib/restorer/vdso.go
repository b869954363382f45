package restorer

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/kabi"
	"floe/lib/plan"
	"floe/lib/procfs"
	"floe/lib/record"
	"floe/lib/tracer"
	"floe/lib/vdso"
)

// VDSOMode says how processes get their vDSO.
type VDSOMode string

// Modes.
const (
	VDSOAuto    VDSOMode = "auto"    // in place where this kernel's fits, or else by proxy
	VDSOInPlace VDSOMode = "inplace" // in place or not at all
	VDSOProxy   VDSOMode = "proxy"   // by proxy also where this kernel's fits
)

// kernelVDSO is what this kernel gives.
type kernelVDSO struct {
	vdso.VDSO
	random  uint32 // of its getrandom, asked when it is needed
	release string
}

// imageVDSO is what one address space had, and what is to be done with it.
type imageVDSO struct {
	vdso.VDSO
	verdict vdso.Verdict
	random  vdso.Random
	proxy   *vdso.Proxied // once it has a place
}

func (r *Restorer) checkVDSO(rec *record.Vdso, parsed vdso.Parsed) (*imageVDSO, error) {
	image, err := parsed.FromRecord(rec)
	if err != nil {
		return nil, err
	}
	v := &imageVDSO{VDSO: image}
	if r.opt.VDSO == VDSOProxy {
		v.verdict = vdso.Force(image, r.kernel.VDSO)
	} else {
		v.verdict = vdso.Compare(image, r.kernel.VDSO)
	}
	switch {
	case v.verdict.Kind == vdso.Impossible:
		return nil, fmt.Errorf("the image's vDSO can't be brought back on this kernel: %s", v.verdict.Why)
	case v.verdict.Kind == vdso.Proxy && r.opt.VDSO == VDSOInPlace:
		return nil, fmt.Errorf("this kernel's vDSO can't stand in place of the image's (%s); --vdso auto would make a proxy", v.verdict.Why)
	case v.verdict.Kind == vdso.Proxy:
		if r.kernel.random == 0 {
			r.kernel.random = vdso.RandomState(r.kernel.VDSO)
		}
		v.random = vdso.Random{Image: rec.RandomState, Runtime: r.kernel.random}
		// All that can be wrong with it, it is before anything has been made.
		if _, err := r.makeProxy(v, farAway, nil); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// farAway is an address that a proxy may be planned for.
const farAway = 1 << 30

func (r *Restorer) makeProxy(v *imageVDSO, at uint64, droppable []vdso.Span) (*vdso.Proxied, error) {
	return vdso.NewProxy(v.VDSO, r.kernel.VDSO, at, v.random, droppable, r.kernel.release)
}

// planVDSO finds a place for all that an address space has of vDSOs.
func (r *Restorer) planVDSO(mmID uint64, arena plan.Span) (plan.VDSO, error) {
	v := r.vdsos[mmID]
	if v == nil || len(v.Areas) == 0 {
		return plan.VDSO{}, nil
	}
	if v.verdict.Kind == vdso.InPlace {
		return plan.VDSO{Kernel: v.Areas[0].Start}, nil
	}
	droppable := r.withoutDroppable(mmID)
	size, err := vdso.RuntimeSize(v.VDSO, r.kernel.VDSO, droppable)
	if err != nil {
		return plan.VDSO{}, err
	}
	used := []plan.Span{arena}
	for _, a := range v.Areas {
		used = append(used, plan.Span{Start: a.Start, End: a.End})
	}
	at, err := plan.PlaceVDSO(r.im.Mms[mmID], r.im.Vmas[mmID], used, v.Areas[len(v.Areas)-1].End, size)
	if err != nil {
		return plan.VDSO{}, err
	}
	if v.proxy, err = r.makeProxy(v, at, droppable); err != nil {
		return plan.VDSO{}, err
	}
	out := plan.VDSO{Kernel: at}
	for _, g := range v.proxy.Regions {
		out.Own = append(out.Own, plan.Region{Span: plan.Span(g.Span), Prot: g.Prot, Filled: g.Bytes != nil, Name: g.Name})
	}
	return out, nil
}

// withoutDroppable lists the droppable mappings that ordinary memory must stand
// for, because this kernel has none.
func (r *Restorer) withoutDroppable(mmID uint64) []vdso.Span {
	if kabi.Droppable.Here() {
		return nil
	}
	var out []vdso.Span
	for _, v := range r.im.Vmas[mmID] {
		if plan.Droppable(v) {
			out = append(out, vdso.Span{Start: v.Start, End: v.End})
		}
	}
	return out
}

// fillVDSO writes what is in floe's own mappings, and reads back where the
// kernel put its areas.
func (r *Restorer) fillVDSO(t *record.Task) error {
	v := r.vdsos[t.MmId]
	if v == nil || len(v.Areas) == 0 {
		return nil
	}
	want := v.Areas
	if v.proxy != nil {
		want = v.proxy.Runtime.Areas
		for _, g := range v.proxy.Regions {
			if g.Bytes == nil {
				continue
			}
			if err := tracer.WriteMem(tracer.TID(t.Pid), tracer.Addr(g.Start), g.Bytes); err != nil {
				return err
			}
		}
	}
	f, err := procfs.Open(fmt.Sprintf("/proc/%d/maps", t.Pid), unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	areas, err := vdso.ReadAreas(f)
	if err != nil {
		return err
	}
	if len(areas) != len(want) {
		return fmt.Errorf("the kernel mapped %d vDSO areas, not %d", len(areas), len(want))
	}
	for i, a := range areas {
		if w := want[i]; a != w {
			return fmt.Errorf("the kernel mapped %s at %x-%x; wanted was %s at %x-%x", a.Name, a.Start, a.End, w.Name, w.Start, w.End)
		}
	}
	return nil
}
