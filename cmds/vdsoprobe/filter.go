package main

import (
	"context"
	"fmt"
	"os"

	"floe/lib/cli"
	"floe/lib/record"
	"floe/lib/stage"
	"floe/lib/vdso"
)

// isStream tells whether somebody means us to be a stage.
func isStream(f *os.File) bool {
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice == 0
}

// filter is vdsoprobe as a stage.
func filter(ctx context.Context, in, out *os.File, log *cli.Logger) error {
	opt := stage.Options{Name: "vdsoprobe", Needs: []string{"freeze", "vmadump"}, Log: log}
	return stage.Run(ctx, opt, in, out, func(c *stage.Context) error {
		for _, t := range c.Image.Tasks {
			mm := c.Image.Mms[t.MmId]
			if mm == nil || mm.Pid != t.Pid {
				continue
			}
			areas := vdso.FromVmas(c.Image.Vmas[t.MmId])
			code, err := vdso.ReadCode(fmt.Sprintf("/proc/%d/mem", t.Pid), areas)
			if err != nil {
				return fmt.Errorf("task %d (%s): vDSO: %w", t.Pid, t.Comm, err)
			}
			rec, err := vdso.Record(t.MmId, areas, code)
			if err != nil {
				return fmt.Errorf("task %d (%s): %w", t.Pid, t.Comm, err)
			}
			if err := c.Writer.Add(&record.Record{Body: &record.Record_Vdso{Vdso: rec}}, nil); err != nil {
				return err
			}
		}
		return nil
	})
}
