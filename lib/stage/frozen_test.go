package stage

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/image"
	"floe/lib/procfs"
	"floe/lib/record"
	"floe/lib/tracer"
)

// imageOf is the image of a process that this one holds.
func imageOf(t testing.TB, pid int) (*image.Image, threads) {
	t.Helper()
	im, all := image.New(), threads{}
	records, err := fakeRecords(pid, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if err := im.Add(r, nil); err != nil {
			t.Fatal(err)
		}
		if th := r.GetThread(); th != nil {
			if err := all.add(th); err != nil {
				t.Fatal(err)
			}
		}
	}
	return im, all
}

// held is a victim of n threads that this process holds.
func held(t testing.TB, n int) (*tracer.Tracer, *image.Image, threads) {
	t.Helper()
	pid := startVictim(t, n)
	tr := tracer.New()
	t.Cleanup(tr.Close)
	if err := tr.Do(func(p *tracer.Ptrace) error { return hold(p, pid) }); err != nil {
		t.Fatal(err)
	}
	im, all := imageOf(t, pid)
	return tr, im, all
}

func wantSays(t *testing.T, what string, err error, say string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), say) {
		t.Errorf("%s: %v, want %q", what, err, say)
	}
}

func TestFrozen(t *testing.T) {
	tr, im, all := held(t, 8)
	task := im.Tasks[0]
	last := task.Tids[len(task.Tids)-1]
	if err := watch(im, all).check(); err != nil {
		t.Fatal(err)
	}
	if err := watch(im, all).recheck(); err != nil {
		t.Fatal(err)
	}
	all[last] = thread{task.Pid, all[last].start + 1}
	wantSays(t, "another thread", watch(im, all).check(), fmt.Sprintf("task %d is gone: another process has its id", last))
	all[last] = thread{task.Pid, all[last].start - 1}
	task.Tids = task.Tids[:len(task.Tids)-1]
	wantSays(t, "a thread more", watch(im, all).check(), "threads, and the stream")
	task.Tids = append(task.Tids, last)
	im.Header.Lease.Pid = 1
	wantSays(t, "not freeze's", watch(im, all).check(), "not by freeze (task 1)")
	im.Header.Lease.Pid = int32(os.Getpid())

	if err := tr.Do(func(p *tracer.Ptrace) error { return p.Detach(tracer.TID(last), 0) }); err != nil {
		t.Fatal(err)
	}
	wantSays(t, "one thread let go", watch(im, all).check(), fmt.Sprintf("task %d is not frozen any more: its state is", last))
	if err := tr.Do(func(p *tracer.Ptrace) error { return p.Detach(tracer.TID(task.Pid), 0) }); err != nil {
		t.Fatal(err)
	}
	wantSays(t, "let go", watch(im, all).check(), "is not frozen any more")
	wantSays(t, "let go", watch(im, all).recheck(), "is not frozen any more")
}

func TestFrozenDead(t *testing.T) {
	tr, im, all := held(t, 3)
	task := im.Tasks[0]
	if err := unix.Kill(int(task.Pid), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	// A tracer has to see its tasks end, or the process does not.
	if err := tr.Do(func(p *tracer.Ptrace) error {
		for _, tid := range task.Tids[1:] {
			if _, err := p.Wait(tracer.TID(tid)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if s, err := procfs.ReadStat(int(task.Pid)); err != nil || time.Now().After(deadline) {
			t.Fatalf("the victim does not become a zombie: %v", err)
		} else if s.State == 'Z' {
			break
		}
	}
	wantSays(t, "killed", watch(im, all).recheck(), "is not frozen any more: its state is 'Z'")
	task.State = record.Task_ZOMBIE
	if err := watch(im, all).check(); err != nil {
		t.Errorf("a zombie that the stream knows: %v", err)
	}
}

// BenchmarkFrozen is what one stage spends on the checks.
func BenchmarkFrozen(b *testing.B) {
	for _, n := range []int{10, 500} {
		b.Run(fmt.Sprintf("%d threads", n), func(b *testing.B) {
			_, im, all := held(b, n)
			for b.Loop() {
				if err := watch(im, all).check(); err != nil {
					b.Fatal(err)
				}
				if err := watch(im, all).recheck(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
