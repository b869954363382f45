package verdict

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"floe/tests/harness"
)

// check runs restore --check with something before it, and returns its status and
// the reasons that it lists.
func check(t *testing.T, prefix, image string) (code int, reasons []string) {
	t.Helper()
	var out bytes.Buffer
	p := harness.Start(t, nil, &out, "bash", "-c", prefix+" restore --check <"+image)
	code = p.Wait(t).Code()
	text := strings.TrimSuffix(out.String(), "\n")
	if said := p.Stderr.String(); (code == 3) != strings.HasPrefix(said, "restore: ") || code == 3 && text != "" || code == 1 && text == "" {
		t.Errorf("status %d, on standard output %q, on standard error %q", code, text, said)
	}
	if code == 1 {
		reasons = strings.Split(text, "\n")
	}
	return code, reasons
}

// TestCheck asks whether images can be restored that can't, each for another
// reason, and for several.
func TestCheck(t *testing.T) {
	v := harness.Launch(t, harness.Steady, nil)
	image := filepath.Join(v.Dir, "image")
	harness.Bash(t, fmt.Sprintf("freeze %d | %s >%s", v.PID, harness.Stages, image))
	tasks := 0
	for _, pid := range harness.Tree(v.PID) {
		tasks += len(harness.Threads(pid))
	}
	if code, reasons := check(t, "", image); code != 1 || len(reasons) != tasks || !strings.Contains(reasons[0], "is taken by") {
		t.Errorf("while %d tasks run: status %d:\n%s", tasks, code, strings.Join(reasons, "\n"))
	}
	v.Checkpoint(t, image, "")
	if code, reasons := check(t, "", image); code != 0 {
		t.Errorf("status %d: %v", code, reasons)
	}
	if err := os.Chmod(v.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	out := v.Output()
	moved := out + ".moved"
	for _, c := range []struct {
		name, before, prefix string
		say                  []string
	}{
		{"file is gone", "mv " + out + " " + moved, "", []string{out + ": no such file or directory"}},
		{"file is another", "cp " + moved + " " + out, "", []string{"another file has its name now"}},
		{"file is a fifo", "rm " + out + "; mkfifo " + out, "", []string{"it is a fifo now, and was a regular file"}},
		{"and a user", "", "setpriv --reuid 34567 --regid 34567 --clear-groups --", []string{"it is a fifo now", "run restore as root", "need CAP_SETGID", "which restore itself has not"}},
		{"file is back", "rm " + out + "; mv " + moved + " " + out, "", nil},
		{"bounding set", "", "setpriv --bounding-set=-sys_time --", []string{"it may use capabilities 0x2000000"}},
		{"hard limits", "", "prlimit --core=0 " + strings.TrimSuffix(harness.NoResource, "-- ") + "--", []string{"its hard limit 4"}},
		{"descriptors", "", "prlimit --nofile=12 " + strings.TrimSuffix(harness.NoResource, "-- ") + "--", []string{"open files; limit is 12"}},
		{"highest pid", "", "unshare --pid --fork --mount-proc bash -c 'echo 301 > /proc/sys/kernel/pid_max; exec restore --check " + image + "' #", []string{"the highest of this system is 300; raise kernel.pid_max"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			harness.Bash(t, c.before)
			code, reasons := check(t, c.prefix, image)
			want := min(len(c.say), 1)
			if all := strings.Join(reasons, "\n"); code != want || !containsAll(all, c.say) {
				t.Errorf("status %d, want %d:\n%s\nwant %q", code, want, all, c.say)
			}
		})
	}
	v.Restore(t, image, "")
	v.Stop(t)
}

func containsAll(s string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(s, p) {
			return false
		}
	}
	return true
}

// TestHeldSession leaves a process behind, outside of the tree, whose session and
// group have the number of the root that is gone.
func TestHeldSession(t *testing.T) {
	v := harness.Launch(t, &harness.Victim{Name: "held", Args: []string{"sh", "-c", "(sleep 777 >/dev/null 2>&1 &); echo begin; cd /; exec sleep 778 >/dev/null 2>&1"}}, nil)
	image := filepath.Join(v.Dir, "image")
	// freeze would not kill it.
	harness.Bash(t, fmt.Sprintf("freeze %d | %s >%s && kill -9 %[1]d", v.PID, harness.Stages, image))
	harness.WaitGone(t, []int{v.PID})
	want := fmt.Sprintf("pid %d is taken: it is the session of process ", v.PID)
	if code, reasons := check(t, "", image); code != 1 || len(reasons) != 1 || !strings.HasPrefix(reasons[0], want) || !strings.Contains(reasons[0], "(sleep)") {
		t.Errorf("status %d: %q, want %q", code, reasons, want)
	}
	p := harness.Start(t, nil, nil, "restore", "-d", image)
	if e := p.Wait(t); e.Code() != 1 || !strings.Contains(p.Stderr.String(), want) {
		t.Errorf("%s: %s", e, p.Stderr)
	}
}

// TestLocked has another process lock a file that the tree had locked.
func TestLocked(t *testing.T) {
	v := harness.Launch(t, &harness.Victim{Name: "locked", Args: []string{"sh", "-c", "exec 5>lock; flock 5; echo begin; exec sleep 779 >/dev/null 2>&1"}}, nil)
	image := filepath.Join(v.Dir, "image")
	v.Checkpoint(t, image, "")
	file := filepath.Join(v.Dir, "lock")
	other := harness.Start(t, nil, nil, "flock", file, "sleep", "778")
	harness.Bash(t, fmt.Sprintf("while flock -n %s true; do sleep 0.01; done", file))
	code, reasons := check(t, "", image)
	if code != 1 || len(reasons) != 1 || !strings.Contains(reasons[0], file+": task ") {
		t.Errorf("status %d: %q", code, reasons)
	}
	harness.Bash(t, fmt.Sprintf("pkill -P %d", other.Cmd.Process.Pid))
	other.Wait(t)
	if code, reasons := check(t, "", image); code != 0 {
		t.Errorf("status %d: %q", code, reasons)
	}
	v.Restore(t, image, "")
}

// agreements is how many damaged images TestAgreement makes.
const agreements = 150

// agreementSeed: most of what records can say is judged alike, but there are odd
// ones that only an open(2) refuses, as of a program to be written (text file busy).
var agreementSeed = flag.Uint64("agreement", 1, "seed of TestAgreement; 0: another each time")

// TestAgreement damages images at random, and has restore --check, imgcat --verify
// and restore itself say the same of each.
func TestAgreement(t *testing.T) {
	v := harness.Launch(t, harness.Steady, nil)
	image := filepath.Join(v.Dir, "image")
	v.Checkpoint(t, image, "")
	whole, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	seed := *agreementSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	rnd := rand.New(rand.NewPCG(seed, 0))
	bad := filepath.Join(v.Dir, "bad")
	out, err := os.ReadFile(v.Output())
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for n := range agreements {
		// What was restored the last time may have written to it.
		if err := os.WriteFile(v.Output(), out, 0); err != nil {
			t.Fatal(err)
		}
		b, what, err := harness.Damaged(rnd, whole)
		if err != nil {
			continue // no stream can be like this
		}
		if err := os.WriteFile(bad, b, 0o600); err != nil {
			t.Fatal(err)
		}
		// In a pid namespace that ends with the shell: what is restored may be anything.
		var said bytes.Buffer
		p := harness.Start(t, nil, &said, "unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c",
			fmt.Sprintf(`imgcat -q --verify %[1]s; v=$?; restore -q --check %[1]s >&2; c=$?; restore -d %[1]s; echo "verify $v, check $c, restore $?"`, bad))
		p.Wait(t)
		got := strings.TrimSpace(said.String())
		counts[got]++
		switch got {
		case "verify 0, check 0, restore 0", "verify 0, check 1, restore 1", "verify 3, check 3, restore 3":
		case "verify 3, check 3, restore 1": // the machine's no comes before the pages
		default:
			t.Errorf("seed %d, round %d: %s: %s\n%s", seed, n, what, got, p.Stderr)
		}
	}
	t.Logf("seed %d: %v", seed, counts)
	if err := os.WriteFile(v.Output(), out, 0); err != nil {
		t.Fatal(err)
	}
	v.Restore(t, image, "")
	v.Stop(t)
}
