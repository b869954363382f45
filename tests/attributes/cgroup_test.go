package attributes

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/tests/harness"
)

// hierarchy mounts one: version 2, or of version 1 one without controllers. There
// is no machine without either.
func hierarchy(t *testing.T, kind, options string) string {
	t.Helper()
	dir, err := os.MkdirTemp(harness.Scratch, "cgroup-")
	if err == nil {
		err = unix.Mount("none", dir, kind, 0, options)
	}
	if err != nil {
		t.Fatalf("mount of a %s hierarchy: %v", kind, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// group makes a control group.
func group(t *testing.T, hierarchy, name string) string {
	t.Helper()
	dir := filepath.Join(hierarchy, fmt.Sprintf("floe-%s-%d", name, os.Getpid()))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeGroup(t, dir) })
	return dir
}

// removeGroup waits for those who end in a group.
func removeGroup(t *testing.T, dir string) {
	t.Helper()
	var err error
	for range 200 {
		if err = os.Remove(dir); err == nil || errors.Is(err, os.ErrNotExist) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error(err)
}

func join(dir string) string { return fmt.Sprintf("write('%s/cgroup.procs', os.getpid())", dir) }

// TestCgroups: every task comes back into its groups, of both versions.
func TestCgroups(t *testing.T) {
	v2 := hierarchy(t, "cgroup2", "")
	v1 := hierarchy(t, "cgroup", "none,name=floetest")
	outer, inner, one, two := group(t, v2, "outer"), group(t, v2, "inner"), group(t, v1, "one"), group(t, v1, "two")
	code := join(outer) + "; " + join(one) + fmt.Sprintf(`
pid = os.fork()
if pid == 0:
    write('%s/cgroup.procs', os.getpid())
    time.sleep(1000)
write('child', pid)`, inner)
	v := launch(t, code, fmt.Sprintf("write('%s/tasks', threading.get_native_id())", two))
	t.Cleanup(func() {
		for _, pid := range harness.Tree(v.PID) {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		harness.WaitGone(t, harness.Tree(v.PID))
	})
	b, err := os.ReadFile(filepath.Join(v.Dir, "child"))
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(string(b))
	if err != nil {
		t.Fatal(err)
	}
	groups := func() string {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", child))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	before, beforeChild := v.look(t), groups()
	if want := filepath.Base(inner); !strings.Contains(beforeChild, want) {
		t.Fatalf("%s is not in %s", beforeChild, want)
	}
	image := filepath.Join(v.Dir, "image")
	v.Checkpoint(t, image, "")
	v.Restore(t, image, "")
	compare(t, before, v.look(t))
	if after := groups(); after != beforeChild {
		t.Errorf("the child was in:\n%s\nit is in:\n%s", beforeChild, after)
	}
}

// TestCgroupGone: restore says that a group is not there, and may do without.
func TestCgroupGone(t *testing.T) {
	v2 := hierarchy(t, "cgroup2", "")
	gone, other := group(t, v2, "gone"), group(t, v2, "other")
	v := launch(t, join(gone), "-")
	image := filepath.Join(v.Dir, "image")
	v.Checkpoint(t, image, "")
	removeGroup(t, gone)
	refused := "control group: it was in /" + filepath.Base(gone)
	p := harness.Start(t, nil, nil, "restore", "-d", image)
	if e := p.Wait(t); e.Code() != 1 || !strings.Contains(p.Stderr.String(), refused) || !strings.Contains(p.Stderr.String(), "--cgroups here") {
		t.Fatalf("%s: %s", e, p.Stderr)
	}
	in := func(prefix, how string) string {
		t.Helper()
		v.Restore(t, "--cgroups "+how+" "+image, prefix)
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", v.PID))
		if err != nil {
			t.Fatal(err)
		}
		v.Checkpoint(t, image, "")
		return string(b)
	}
	if got := in("", "ignore"); strings.Contains(got, "floe-gone") {
		t.Error(got)
	}
	prefix := fmt.Sprintf("python3 %s/under.py \"%s\" ", v.Dir, join(other))
	if got := in(prefix, "here"); !strings.Contains(got, filepath.Base(other)) {
		t.Error(got)
	}
}

// TestCgroupOfRestore: what restore is in itself is none of the tree's business.
func TestCgroupOfRestore(t *testing.T) {
	v2 := hierarchy(t, "cgroup2", "")
	other := group(t, v2, "restore")
	v := launch(t, "pass", "pass")
	before := v.look(t)
	image := filepath.Join(v.Dir, "image")
	v.Checkpoint(t, image, "")
	v.Restore(t, image, fmt.Sprintf("python3 %s/under.py \"%s\" ", v.Dir, join(other)))
	compare(t, before, v.look(t))
}
