package freezer

import (
	"context"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/tracer"
)

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	var r unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkFreeze measures the freezing, the reading and the letting go.
func BenchmarkFreeze(b *testing.B) {
	needRoot(b)
	bin := compile(b, "crowd")
	for _, c := range []struct {
		name               string
		processes, threads int
	}{{"one", 1, 1}, {"500threads", 1, 500}, {"200processes", 200, 1}} {
		b.Run(c.name, func(b *testing.B) {
			v := start(b, bin, fmt.Sprint(c.processes), fmt.Sprint(c.threads))
			tr := tracer.New()
			defer tr.Close()
			var froze, read, thawed time.Duration
			cpu := cpuTime()
			for b.Loop() {
				if err := tr.Do(func(p *tracer.Ptrace) error {
					begin := time.Now()
					tree, err := Freeze(context.Background(), p, v.pid)
					if err != nil {
						return err
					}
					froze += time.Since(begin)
					begin = time.Now()
					if err := tree.Collect(p, func(*record.Record) error { return nil }); err != nil {
						return err
					}
					read += time.Since(begin)
					begin = time.Now()
					err = tree.Thaw(p)
					thawed += time.Since(begin)
					return err
				}); err != nil {
					b.Fatal(err)
				}
			}
			ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 / float64(b.N) }
			b.ReportMetric(ms(cpuTime()-cpu), "ms-cpu")
			b.ReportMetric(ms(froze), "ms-freeze")
			b.ReportMetric(ms(read), "ms-read")
			b.ReportMetric(ms(thawed), "ms-thaw")
		})
	}
}
