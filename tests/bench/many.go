package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// many measures what has many threads, mappings or processes, in two sizes each:
// what grows in proportion takes four times as long with four times as many.
func (b *bench) many() error {
	for _, c := range []struct {
		kind string
		n    int
	}{{"threads", 1000}, {"mappings", 7500}, {"processes", 250}} {
		var small [2]series
		for _, n := range []int{c.n, 4 * c.n} {
			s, err := b.crowd(c.kind, n)
			if err != nil {
				return fmt.Errorf("%d %s: %w", n, c.kind, err)
			}
			for i, what := range []string{"checkpoint", "restore"} {
				times := ""
				if small[i] != nil {
					times = fmt.Sprintf("  (%.1f times)", s[i].median()/small[i].median())
				}
				fmt.Printf("%-40s %s ms%s\n", fmt.Sprintf("%d %s: %s", n, c.kind, what), s[i], times)
			}
			small = s
		}
	}
	return nil
}

// crowd saves and kills a tree, and restores it, some times.
func (b *bench) crowd(kind string, n int) (s [2]series, err error) {
	const rounds = 3
	v, err := b.start("many", kind, fmt.Sprint(n))
	if err != nil {
		return s, err
	}
	defer v.killAll()
	image := filepath.Join(b.dir, "many.img")
	defer os.Remove(image)
	for range rounds {
		d, err := v.pipeline("kill", image)
		if err != nil {
			return s, err
		}
		v.killAll()
		r, err := v.restore(image, "auto")
		if err != nil {
			return s, err
		}
		s[0], s[1] = append(s[0], d.Seconds()*1e3), append(s[1], r.Seconds()*1e3)
	}
	return s, nil
}

// killAll ends the victim's process group, and waits for all of it: each pid must
// be free again. Orphans are this process's children.
func (v *victim) killAll() {
	_ = unix.Kill(-v.pid, unix.SIGKILL)
	for {
		var ws syscall.WaitStatus
		if _, err := syscall.Wait4(-1, &ws, 0, nil); err != nil && err != unix.EINTR {
			return
		}
	}
}
