package attributes

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestZombie: a dead child still belongs to whom it belonged.
func TestZombie(t *testing.T) {
	v := launch(t, `
pid = os.fork()
if pid == 0:
    os.setgroups([5, 6])
    os.setresgid(11, 12, 13)
    os.setresuid(1234, 1235, 1236)
    os._exit(3)
os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
write('child', pid)
`, "-")
	b, err := os.ReadFile(filepath.Join(v.Dir, "child"))
	if err != nil {
		t.Fatal(err)
	}
	creds := func() string {
		text, err := os.ReadFile("/proc/" + string(b) + "/status")
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for line := range strings.Lines(string(text)) {
			for _, name := range []string{"Uid:", "Gid:", "Groups:", "Cap", "NoNewPrivs:"} {
				if strings.HasPrefix(line, name) {
					out = append(out, line)
				}
			}
		}
		return strings.Join(out, "")
	}
	before := creds()
	if !strings.Contains(before, "1235") {
		t.Fatal(before)
	}
	image := filepath.Join(v.Dir, "image")
	v.Checkpoint(t, image, "")
	time.Sleep(10 * time.Millisecond)
	v.Restore(t, image, "")
	if after := creds(); after != before {
		t.Errorf("it was:\n%s\nit is:\n%s", before, after)
	}
}
