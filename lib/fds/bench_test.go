package fds

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// What fddump takes of the time of a small checkpoint: one process with a few
// descriptors, two of them pipes to the test; and one with a pipe to itself,
// for which every process of the machine must be looked at.
func BenchmarkCollect(b *testing.B) {
	for name, code := range map[string]string{"plain": "", "pipe": "r, w = os.pipe(); os.write(w, b'x' * 1000)\n"} {
		b.Run(name, func(b *testing.B) {
			tasks := python(b, code+"hold()\n").freeze()
			before := cpuTime()
			for b.Loop() {
				tree := &Tree{Tasks: tasks, Add: func(*record.Record, []byte) error { return nil }}
				if err := CollectTree(tree); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}

// cpuTime is what this process has used: wall time says little on a machine
// that does other things.
func cpuTime() time.Duration {
	var r unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
