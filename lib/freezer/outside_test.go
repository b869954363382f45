package freezer

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"floe/lib/tracer"
)

// TestSharedOutside refuses a tree that shares with somebody outside, whoever
// that is, and takes one whose sharers are all inside.
func TestSharedOutside(t *testing.T) {
	needRoot(t)
	bin := compile(t, "outsider")
	for _, c := range []struct{ how, kind, want string }{
		{"sibling", "vm", "memory"}, {"sibling", "files", "descriptors"}, {"sibling", "fs", "working directory"},
		{"headless", "vm", "memory"}, {"headless", "files", "descriptors"},
		{"nephew", "vm", "memory"}, {"nephew", "files", "descriptors"}, {"nephew", "fs", "working directory"},
		{"thread", "files", "descriptors"}, {"thread", "fs", "working directory"},
		{"descendant", "vm", ""}, {"descendant", "files", ""},
	} {
		t.Run(c.how+" "+c.kind, func(t *testing.T) {
			v := start(t, bin, c.how, c.kind)
			var root, task int
			if _, err := fmt.Sscanf(<-v.lines, "ok %d %d", &root, &task); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { killAll(bin) })
			err := tryFreeze(root)
			if c.want == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			want := fmt.Sprintf(`^task %d \(outsider\) shares its %s with task \d+ \(outsider\), which is not in its tree`, task, c.want)
			if c.how == "thread" {
				want = fmt.Sprintf(`shares its %s with task \d+`, c.want)
			}
			if err == nil || !regexp.MustCompile(want).MatchString(err.Error()) {
				t.Errorf("got %v\nwant %s", err, want)
			}
			untouched(t, root, "")
			v.ok()
		})
	}
}

// killAll ends all processes of a program: those outside of the tree too.
func killAll(program string) {
	list, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, exe := range list {
		if path, err := os.Readlink(exe); err == nil && path == program {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(exe)))
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// tryFreeze freezes a process, if nothing speaks against it.
func tryFreeze(pid int) error {
	tr := tracer.New()
	defer tr.Close()
	return tr.Do(func(p *tracer.Ptrace) error {
		_, err := freeze(p, pid, nil)
		if err != nil {
			err = fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "freeze: "))
		}
		return err
	})
}
