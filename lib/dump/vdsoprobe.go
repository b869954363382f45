package dump

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/procfs"
	"floe/lib/record"
	"floe/lib/stage"
	"floe/lib/vdso"
)

// Vdsoprobe adds what the vDSO of each address space is.
func Vdsoprobe(ctx context.Context, e Ends) error {
	here, err := vdso.Here() // while the stages before are at work
	return e.run(ctx, stage.Options{
		Name: "vdsoprobe", Needs: []string{"freeze", "vmadump"},
		Keep: func(r *record.Record) bool { return r.GetMm() != nil || r.GetVma() != nil },
	}, func(c *stage.Context) error {
		if err != nil {
			return fmt.Errorf("this kernel's vDSO: %w", err)
		}
		return probeAll(c, here)
	})
}

// probeAll adds the record of each address space's vDSO.
func probeAll(c *stage.Context, here vdso.VDSO) error {
	for _, t := range c.Image.Tasks {
		mm := c.Image.Mms[t.MmId]
		if mm == nil || mm.Pid != t.Pid {
			continue
		}
		rec, err := probe(c, t, here)
		if err != nil {
			return fmt.Errorf("task %d (%s): %w", t.Pid, t.Comm, err)
		}
		if err := c.Writer.Add(&record.Record{Body: &record.Record_Vdso{Vdso: rec}}, nil); err != nil {
			return err
		}
	}
	return nil
}

// probe makes the record of one address space.
func probe(c *stage.Context, t *record.Task, here vdso.VDSO) (*record.Vdso, error) {
	mappings, areas, err := vdso.FromVmas(c.Image.Vmas[t.MmId])
	if err != nil {
		return nil, err
	}
	mem, err := procfs.Open(fmt.Sprintf("/proc/%d/mem", t.Pid), unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer mem.Close()
	proxy, doubt, err := vdso.FindProxy(vdso.Process{Mappings: mappings, Memory: mem}, areas, here)
	if err != nil {
		return nil, err
	}
	if proxy != nil {
		return proxy.Record(t.MmId)
	}
	if doubt != "" {
		c.Log.Warnf("task %d (%s): a mark of floe's behind its vDSO is not believed (%s); it is saved as ordinary memory", t.Pid, t.Comm, doubt)
	}
	code, err := vdso.ReadCode(mem, areas)
	if err != nil {
		return nil, err
	}
	var im *vdso.Image
	if code != nil {
		if im, err = vdso.Parse(code); err != nil {
			return nil, err
		}
	}
	state := vdso.Describe(vdso.VDSO{Areas: areas, Image: im}, here)
	switch state.Kind {
	case vdso.Foreign, vdso.Changed:
		return nil, fmt.Errorf("its vDSO is not as this kernel made it (%s); it can't be saved yet", state.Why)
	case vdso.Partial:
		c.Log.Warnf("task %d (%s): its vDSO is not whole (%s)", t.Pid, t.Comm, state.Why)
	}
	rec, err := vdso.Record(t.MmId, areas, code)
	if err == nil && code != nil {
		rec.RandomState = vdso.RandomState(here)
	}
	return rec, err
}
