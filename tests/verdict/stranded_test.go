package verdict

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"floe/tests/harness"
)

// stranded leaves a grandchild behind that stays in its process group.
const stranded = `
import os, time
r, w = os.pipe()
if os.fork() == 0:
    pid = os.fork()
    if pid == 0:
        for n in (0, 1, 2, r, w): os.close(n)
        time.sleep(1000)
    os.write(w, b'%d' % pid)
    os._exit(0)
os.wait()
os.close(w)
print('begin', os.read(r, 20).decode(), flush=True)
time.sleep(1000)
`

// TestStranded: a tree is not killed while somebody outside of it is in its
// process group, whose number nobody else can get; it is saved all the same.
func TestStranded(t *testing.T) {
	v := harness.Launch(t, &harness.Victim{Name: "stranded", Args: []string{"python3", "-c", stranded}}, nil)
	image := filepath.Join(v.Dir, "image")
	run := func(then string) *harness.Proc {
		p := harness.Start(t, nil, nil, "bash", "-c", "freeze --then "+then+" "+strconv.Itoa(v.PID)+" | "+harness.Stages+" > "+image)
		p.Wait(t)
		return p
	}
	if p := run("thaw"); p.Stderr.String() != "" && !strings.Contains(p.Stderr.String(), "0600") {
		t.Errorf("thaw: %s", p.Stderr)
	}
	if p := run("kill"); !strings.Contains(p.Stderr.String(), "which is not in the tree, is in session "+strconv.Itoa(v.PID)) {
		t.Errorf("kill: %s", p.Stderr)
	}
	if s, ok := harness.ReadStat(v.PID); !ok || s.State != "S" && s.State != "R" {
		t.Fatalf("the tree's root: %+v", s)
	}
	for _, pid := range harness.Processes() {
		if group, err := unix.Getpgid(pid); err == nil && group == v.PID && pid != v.PID {
			_ = unix.Kill(pid, unix.SIGKILL)
			harness.WaitGone(t, []int{pid})
		}
	}
	v.Checkpoint(t, image, "")
	v.Restore(t, image, "")
}
