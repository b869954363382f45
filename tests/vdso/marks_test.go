package vdso

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"floe/lib/vdso"
	"floe/tests/harness"
)

// proxied is a victim that calls the vDSO all the time, through a proxy.
func proxied(t *testing.T) *harness.Running {
	t.Helper()
	bin := build(t, "gcc", "-static", "-O1", "-o", "step", "testdata/step.c")
	v := harness.Launch(t, &harness.Victim{Name: "step", Args: []string{bin, "clock_gettime"}}, nil)
	again(t, v, "proxy")
	alive(t, v, "proxied")
	return v
}

// again checkpoints a victim and restores it; what the programs said comes back.
func again(t *testing.T, v *harness.Running, mode string) string {
	t.Helper()
	image := filepath.Join(v.Dir, "image")
	said := filepath.Join(v.Dir, "said")
	tree := harness.Tree(v.PID)
	harness.Bash(t, fmt.Sprintf("{ freeze --then kill %d | %s >%s; } 2>%s", v.PID, harness.Stages, image, said))
	harness.WaitGone(t, tree)
	harness.Bash(t, fmt.Sprintf("restore -d --vdso %s %s 2>>%s", mode, image, said))
	b, err := os.ReadFile(said)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// maps are the mappings of a process that are floe's or the kernel's.
func maps(t *testing.T, pid int) []string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(b)) {
		for _, name := range []string{"[vvar", "[vdso", "[anon:floe"} {
			if strings.Contains(line, name) {
				f := strings.Fields(line)
				out = append(out, f[0]+" "+f[1]+" "+strings.Join(f[5:], " "))
			}
		}
	}
	return out
}

// TestMoves takes a process through proxies and back: the kernel's areas return
// to their first place, and nothing else is left.
func TestMoves(t *testing.T) {
	bin := build(t, "gcc", "-static", "-O1", "-o", "step", "testdata/step.c")
	v := harness.Launch(t, &harness.Victim{Name: "step", Args: []string{bin, "getrandom"}}, nil)
	before := maps(t, v.PID)
	var sizes []int64
	for i, mode := range []string{"proxy", "proxy", "inplace", "proxy", "auto", "auto"} {
		if said := again(t, v, mode); strings.Contains(said, "mark") {
			t.Errorf("%s: %s", mode, said)
		}
		alive(t, v, mode)
		now := maps(t, v.PID)
		st, err := os.Stat(filepath.Join(v.Dir, "image"))
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, st.Size())
		if mode != "proxy" {
			if strings.Join(now, "\n") != strings.Join(before, "\n") {
				t.Errorf("move %d: in place it has\n%s\nand had\n%s", i, strings.Join(now, "\n"), strings.Join(before, "\n"))
			}
			continue
		}
		for _, m := range now {
			if strings.Contains(m, "wx") {
				t.Errorf("%s can be written and executed", m)
			}
		}
		if p := look(t, v.PID); p == nil {
			t.Errorf("move %d: no proxy in\n%s", i, strings.Join(now, "\n"))
		}
	}
	for _, s := range sizes[1:] {
		if s > sizes[0]+8192 { // pages that it has touched meanwhile
			t.Errorf("images grow: %v", sizes)
		}
	}
}

// look finds a process's proxy.
func look(t *testing.T, pid int) *vdso.Proxied {
	t.Helper()
	here, err := vdso.Here()
	if err != nil {
		t.Fatal(err)
	}
	p, areas, done, err := vdso.OpenProcess(fmt.Sprint(pid))
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	proxy, _, err := vdso.FindProxy(p, areas, here)
	if err != nil {
		t.Fatal(err)
	}
	return proxy
}

// TestDamagedMark writes into what floe has left in a process: it is not
// believed any more, and saved as the process's own. The process runs on.
func TestDamagedMark(t *testing.T) {
	for name, damage := range map[string]func(p *vdso.Proxied) (at uint64, b []byte){
		"magic":    func(p *vdso.Proxied) (uint64, []byte) { return markOf(p), []byte{0} },
		"version":  func(p *vdso.Proxied) (uint64, []byte) { return markOf(p) + 8, []byte{77} },
		"length":   func(p *vdso.Proxied) (uint64, []byte) { return markOf(p) + 12, []byte{255, 255, 0, 0} },
		"checksum": func(p *vdso.Proxied) (uint64, []byte) { return markOf(p) + 16, []byte{1, 2, 3} },
		"message":  func(p *vdso.Proxied) (uint64, []byte) { return markOf(p) + 1000, []byte("floe") },
		"code":     func(p *vdso.Proxied) (uint64, []byte) { return codeOf(p).Start + 3, []byte{0x11} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := proxied(t)
			p := look(t, v.PID)
			if p == nil {
				t.Fatal("no proxy")
			}
			at, b := damage(p)
			poke(t, v.PID, at, b)
			if look(t, v.PID) != nil {
				t.Fatal("it is believed")
			}
			said := again(t, v, "auto")
			if name != "magic" && !strings.Contains(said, "not believed") {
				t.Errorf("nothing is said of it: %s", said)
			}
			alive(t, v, "after the damage")
			again(t, v, "proxy")
			alive(t, v, "through another proxy")
		})
	}
}

func markOf(p *vdso.Proxied) uint64 { return p.Regions[len(p.Regions)-1].Start }

func codeOf(p *vdso.Proxied) vdso.Area {
	code, _, _ := vdso.Code(p.Image.Areas)
	return code
}

// poke writes to a process's memory, whatever its protection says.
func poke(t *testing.T, pid int, at uint64, b []byte) {
	t.Helper()
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, int64(at)); err != nil {
		t.Fatal(err)
	}
}

// TestForgedMark gives a process a mark that another has: it says that it is
// elsewhere.
func TestForgedMark(t *testing.T) {
	v := proxied(t)
	p := look(t, v.PID)
	mark := p.Regions[len(p.Regions)-1].Bytes
	forged := p.Runtime.Areas[len(p.Runtime.Areas)-1].End // where this test's mark would be
	for name, b := range map[string][]byte{"of another place": moved(mark), "empty": mark[:32], "the right one": mark} {
		poke(t, v.PID, forged, append(bytes.Clone(b), make([]byte, len(mark)-len(b))...))
		if got := look(t, v.PID) != nil; got != (name == "the right one") {
			t.Errorf("%s: believed: %v", name, got)
		}
		poke(t, v.PID, forged, mark)
	}
}

// moved is a mark that says another address, with a right checksum.
func moved(mark []byte) []byte {
	b := bytes.Clone(mark)
	n := le.Uint32(b[12:])
	b[32+3] ^= 1 // the varint of its address comes first
	le.PutUint32(b[16:], checksum(b[32:32+n]))
	return b
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
