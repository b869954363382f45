package badinput

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/tests/harness"
)

// pipeline runs programs in a row on a running tree; the first is freeze. What
// comes out of stage `at` goes through spoil, when that is not nil.
func pipeline(t *testing.T, pid int, programs []string, at int, spoil func(io.Writer, io.Reader)) []*harness.Measured {
	t.Helper()
	var procs []*harness.Measured
	var in *os.File
	for i, name := range programs {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		var args []string
		if name == "freeze" {
			args = []string{fmt.Sprint(pid)}
		}
		var stdin io.Reader
		if in != nil {
			stdin = in
		}
		procs = append(procs, harness.StartMeasured(t, stdin, w, name, args...))
		w.Close()
		if in != nil {
			in.Close()
		}
		if in = r; i == at && spoil != nil {
			if r, w, err = os.Pipe(); err != nil {
				t.Fatal(err)
			}
			go relay(w, in, spoil)
			in = r
		}
	}
	go func() {
		_, _ = io.Copy(io.Discard, in)
		in.Close()
	}()
	return procs
}

// relay spoils what goes from one stage to the next, and goes when the next one
// has gone, as a stage would.
func relay(to, from *os.File, spoil func(io.Writer, io.Reader)) {
	done := make(chan struct{})
	go func() {
		defer from.Close() // ends the reading
		p := []unix.PollFd{{Fd: int32(to.Fd())}}
		for n := 0; n == 0; n, _ = unix.Poll(p, 10) {
			select {
			case <-done:
				return
			default:
			}
		}
	}()
	spoil(to, from)
	close(done)
	to.Close()
}

// TestOrder leaves stages out, runs them twice and in a wrong order.
func TestOrder(t *testing.T) {
	v := harness.Launch(t, sleeper, nil)
	whole := append([]string{"freeze"}, stages...)
	cases := map[string][]string{"order": {"freeze", "vdsoprobe", "vmadump", "fddump", "pagedump"}}
	for i, s := range stages[:3] {
		cases["without "+s] = slices.Delete(slices.Clone(whole), i+1, i+2)
		cases[s+" twice"] = slices.Insert(slices.Clone(whole), i+1, s)
	}
	cases["pagedump twice"] = append(slices.Clone(whole), "pagedump")
	for name, programs := range cases {
		t.Run(name, func(t *testing.T) {
			procs := pipeline(t, v.PID, programs, -1, nil)
			last := len(procs) - 1
			r := judge(t, programs[last], procs[last], badInput)
			var all strings.Builder
			for i, p := range procs {
				p.Wait(t)
				fmt.Fprintf(&all, "%s: %s", programs[i], p.Stderr)
			}
			named, _, _ := strings.Cut(strings.TrimPrefix(name, "without "), " ")
			if name != "order" && !strings.Contains(all.String(), named) {
				t.Errorf("nobody names %s:\n%s%s", named, &all, r.line)
			}
			unharmed(t, v)
		})
	}
}

// TestSpoiled spoils what a stage gets from a tree that is frozen meanwhile.
func TestSpoiled(t *testing.T) {
	v := harness.Launch(t, sleeper, nil)
	whole := append([]string{"freeze"}, stages...)
	for at, s := range stages {
		n := length(t, v, whole[:at+1])
		for _, size := range []int64{0, 7, 8, 9, 100, n / 4, n / 2, n * 3 / 4, n - 20} {
			t.Run(fmt.Sprintf("%s/cut at %d", s, size), func(t *testing.T) {
				spoil := func(w io.Writer, r io.Reader) { _, _ = io.CopyN(w, r, size) }
				spoiled(t, v, whole[:at+2], at, spoil)
			})
			t.Run(fmt.Sprintf("%s/flip at %d", s, size), func(t *testing.T) {
				spoil := func(w io.Writer, r io.Reader) {
					_, _ = io.CopyN(w, r, size)
					var b [1]byte
					if n, _ := r.Read(b[:]); n == 1 {
						_, _ = w.Write([]byte{b[0] ^ 0x10})
					}
					_, _ = io.Copy(w, r)
				}
				spoiled(t, v, whole[:at+2], at, spoil)
			})
		}
	}
}

// length is how many bytes come out of the last of the programs, up to its mark.
func length(t *testing.T, v *harness.Running, programs []string) (n int64) {
	t.Helper()
	got := make(chan int64)
	procs := pipeline(t, v.PID, programs, len(programs)-1, func(_ io.Writer, r io.Reader) {
		var n int64
		defer func() { got <- n }()
		records, err := record.NewReader(r)
		for err == nil {
			var f *record.Frame
			if f, err = records.Next(); err == nil {
				if n = f.Offset; f.Record.GetMark() != nil {
					return
				}
			}
		}
		t.Error(err)
	})
	n = <-got
	for _, p := range procs {
		p.Wait(t)
	}
	return n
}

func spoiled(t *testing.T, v *harness.Running, programs []string, at int, spoil func(io.Writer, io.Reader)) {
	t.Helper()
	procs := pipeline(t, v.PID, programs, at, spoil)
	last := len(procs) - 1
	// A spoiled header may name a freeze that isn't there: that is status 1.
	judge(t, programs[last], procs[last], badInput, failed)
	for _, p := range procs[:last] {
		p.Wait(t)
	}
	unharmed(t, v)
}

// unharmed makes sure that the tree runs.
func unharmed(t *testing.T, v *harness.Running) {
	t.Helper()
	var s harness.Stat
	for range 1000 {
		ok := false
		if s, ok = harness.ReadStat(v.PID); ok && s.State == "S" && s.Tracer == 0 {
			return
		}
		time.Sleep(time.Millisecond) // it has been let go, and sleeps again soon
	}
	t.Errorf("the tree does not run on: %+v", s)
}
