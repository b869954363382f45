package memory

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/kabi"
	"floe/lib/procfs"
	"floe/tests/harness"
)

// counts are the lines of smaps that may differ after a restore, and why. All
// others have to be the same.
var counts = map[string]string{
	"Rss":             "pages of files are there once they are used, and no image has them; pages of zeros come back absent",
	"Pss":             "as Rss",
	"Pss_Dirty":       "as Rss",
	"Shared_Clean":    "as Rss",
	"Shared_Dirty":    "as Rss; pages that parent and child shared are each one's own",
	"Private_Clean":   "as Rss",
	"Private_Dirty":   "as Rss",
	"Referenced":      "as Rss; the kernel's own idea of what was used lately",
	"Anonymous":       "as Rss, of pages of zeros",
	"KSM":             "the kernel merges pages again in its own time",
	"LazyFree":        "memory given back (MADV_FREE) that the kernel had not taken yet is ordinary memory with the same contents",
	"AnonHugePages":   "the kernel makes huge pages in its own time",
	"ShmemPmdMapped":  "as AnonHugePages",
	"FilePmdMapped":   "as AnonHugePages",
	"Swap":            "nothing comes back to swap space",
	"SwapPss":         "as Swap",
	"Locked":          "as Rss, of locked memory",
	"THPeligible":     "", // must be the same
	"VmFlags":         "",
	"ProtectionKey":   "",
	"Size":            "",
	"KernelPageSize":  "",
	"MMUPageSize":     "",
	"Shared_Hugetlb":  "",
	"Private_Hugetlb": "",
}

// inode is the number that the kernel gave to an object of shared memory: the
// restored one is another.
var inode = regexp.MustCompile(`^(\S+ \S+ \S+ \S+) \d+ +(/dev/zero \(deleted\)|\[anon_shmem:.*)$`)

// zero is what a private mapping of /dev/zero is called. It is anonymous memory,
// and comes back as that.
const zero = "/dev/zero"

// smaps is what a process's smaps says of each mapping but for the counts.
func smaps(t *testing.T, pid int) (list []string) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range strings.Split(strings.TrimSuffix(string(b), "\n"), "\n") {
		if l[0] < 'A' || l[0] > 'Z' {
			l = inode.ReplaceAllString(l, "$1 $2")
			if f := strings.Fields(l); f[len(f)-1] == zero && f[1][3] == 'p' {
				l = fmt.Sprintf("%s %s %s 00:00 0 ", f[0], f[1], f[2])
			}
			list = append(list, l)
			continue
		}
		name, _, _ := strings.Cut(l, ":")
		why, known := counts[name]
		if !known {
			t.Errorf("smaps has a line that this test does not know: %s", l)
		}
		if why == "" {
			list[len(list)-1] += "; " + strings.Join(strings.Fields(l), " ")
		}
	}
	return list
}

// residents says of each page whether it is there and the process's own, or a
// guard, or of a file and locked.
func residents(t *testing.T, pid int) (list []string) {
	t.Helper()
	maps, err := os.Open(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer maps.Close()
	all, err := procfs.ParseMappings(maps)
	if err != nil {
		t.Fatal(err)
	}
	pagemap, err := os.Open(fmt.Sprintf("/proc/%d/pagemap", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer pagemap.Close()
	for _, m := range all {
		if m.Name == "[vsyscall]" || strings.HasPrefix(m.Name, "[v") {
			continue
		}
		line := make([]byte, (m.End-m.Start)/4096)
		b := make([]byte, 8*len(line))
		if _, err := pagemap.ReadAt(b, int64(m.Start/4096*8)); err != nil {
			t.Fatal(err)
		}
		for i := range line {
			switch e := binary.LittleEndian.Uint64(b[8*i:]); {
			case e&kabi.PM_GUARD_REGION != 0:
				line[i] = 'g'
			case e&kabi.PM_PRESENT != 0 && e&kabi.PM_FILE == 0:
				line[i] = 'a'
			case e&kabi.PM_PRESENT != 0 && m.Has("lo"):
				line[i] = 'f'
			default:
				line[i] = '.'
			}
		}
		list = append(list, fmt.Sprintf("%x-%x %s: %s", m.Start, m.End, strings.TrimSuffix(m.Name, zero), line))
	}
	return list
}

// besides is what residents says after a restore, without the pages of files that
// the kernel has mapped besides those that were used (fault-around).
func besides(before, after []string) []string {
	for i := range after {
		if i >= len(before) || len(before[i]) != len(after[i]) {
			return after
		}
		b := []byte(after[i])
		for k := range b {
			if before[i][k] == '.' && b[k] == 'f' {
				b[k] = '.'
			}
		}
		after[i] = string(b)
	}
	return after
}

// policies is what numa_maps says of each mapping but for its pages.
func policies(t *testing.T, pid int) []string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/numa_maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	return policy.FindAllString(string(b), -1)
}

var policy = regexp.MustCompile(`(?m)^[0-9a-f]+ \S+( \(many\)\S*| interleave\S*)?`)

func launchMappings(t *testing.T, kinds ...string) *harness.Running {
	t.Helper()
	return harness.Launch(t, &harness.Victim{Name: "mappings", Args: slices.Concat([]string{"./mappings"}, kinds), Prepare: harness.CompiledC("mappings")}, nil)
}

// TestSmaps has memory of each kind, and compares all that smaps and pagemap say
// of it before and after two restores, and what becomes of an access to each
// page with what becomes of it in a process that was never saved.
func TestSmaps(t *testing.T) {
	for _, kind := range []string{"advised", "protections", "names", "guards", "sealed", "onfault", "past", "policies", "policy"} {
		t.Run(kind, func(t *testing.T) {
			r, control := launchMappings(t, kind), launchMappings(t, kind)
			maps, pages, nodes := smaps(t, r.PID), residents(t, r.PID), policies(t, r.PID)
			image := filepath.Join(r.Dir, "image")
			for range 2 {
				r.Checkpoint(t, image, "")
				r.Restore(t, image, "")
				if d := harness.Difference(maps, smaps(t, r.PID)); len(d) > 0 {
					t.Errorf("smaps before and after:\n%s", strings.Join(d, "\n"))
				}
				if d := harness.Difference(pages, besides(pages, residents(t, r.PID))); len(d) > 0 {
					t.Errorf("pagemap before and after:\n%s", strings.Join(d, "\n"))
				}
				// With a thread's policy it shows that where a mapping has none: the victim tells.
				if d := harness.Difference(nodes, policies(t, r.PID)); len(d) > 0 && kind != "policy" {
					t.Errorf("numa_maps before and after:\n%s", strings.Join(d, "\n"))
				}
			}
			want, got := accesses(t, control), accesses(t, r)
			if d := harness.Difference(want, got); len(d) > 0 || len(want) < 3 {
				t.Errorf("an access, never saved and restored:\n%s", strings.Join(d, "\n"))
			}
		})
	}
}

// accesses has a victim read its memory.
func accesses(t *testing.T, r *harness.Running) []string {
	t.Helper()
	if err := os.WriteFile(filepath.Join(r.Dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if e := r.End(t); e.Code() != 0 {
		t.Errorf("it has ended with %s", e)
	}
	return strings.Split(r.Outcome(t), "\n")
}

// TestSmapsPrograms compares what smaps says of real programs.
func TestSmapsPrograms(t *testing.T) {
	for _, name := range []string{"bash", "python", "perl", "node", "go", "threads", "processes"} {
		t.Run(name, func(t *testing.T) {
			r := harness.Launch(t, harness.FindVictim(t, name), nil)
			stopAll(t, r.PID)
			var before [][]string
			for _, pid := range harness.Tree(r.PID) {
				before = append(before, smaps(t, pid))
			}
			image := filepath.Join(r.Dir, "image")
			r.Checkpoint(t, image, "")
			harness.Bash(t, "restore -d "+image) // r.Restore wants it to run
			for i, pid := range harness.Tree(r.PID) {
				if d := harness.Difference(before[i], smaps(t, pid)); len(d) > 0 {
					t.Errorf("process %d: before and after:\n%s", pid, strings.Join(d, "\n"))
				}
			}
		})
	}
}

// stopAll stops a tree, as job control does, and waits until all of it stands.
func stopAll(t *testing.T, root int) {
	t.Helper()
	for range 2000 {
		moving := false
		for _, pid := range harness.Tree(root) {
			if s, ok := harness.ReadStat(pid); !ok || s.State != "T" {
				moving = true
				_ = unix.Kill(pid, unix.SIGSTOP)
			}
		}
		if !moving {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
	t.Fatal("it does not stop")
}
