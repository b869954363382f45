package kernels

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"floe/tests/kernels/job"
)

// traveller is a process that moves from kernel to kernel.
type traveller struct {
	leg    job.Leg // of its start
	origin string
	image  []byte
	first  int // size of the first image
	pair   string
	last   string // line
}

// route moves travellers along kernels: each is started on its origin when the
// route comes there first, and then is on every kernel that follows.
func route(t *testing.T, path []string, list []*traveller, more []job.File) {
	t.Helper()
	for step, kernel := range path {
		var j job.Job
		in := slices.Clone(more)
		var here []*traveller
		for _, v := range list {
			l := v.leg
			switch {
			case v.image != nil:
				from := "img/" + l.Name
				in = append(in, job.File{Name: from, Mode: 0o600, Data: v.image})
				l.Program, l.Image = nil, "/"+from
			case v.origin != kernel:
				continue
			}
			l.Dump = fmt.Sprintf("img/%s-%d", l.Name, step)
			j.Legs = append(j.Legs, l)
			here = append(here, v)
		}
		r, images, err := machine(t, kernel, j, in)
		if err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
		for i, v := range here {
			res := &r.Results[i]
			if res.Failed != "" {
				t.Fatalf("step %d, %s on %s: %s", step, v.leg.Name, kernel, res.Failed)
			}
			if want := v.method(kernel); j.Legs[i].Image != "" && res.Method != want {
				t.Fatalf("step %d, %s on %s: %s, not %s", step, v.leg.Name, kernel, res.Method, want)
			}
			if i := slices.IndexFunc(res.Lines, counts); i >= 0 && v.last != "" && back(v.last, res.Lines[i]) {
				t.Fatalf("step %d, %s on %s begins with %q after %q: not where it was", step, v.leg.Name, kernel, res.Lines[i], v.last)
			}
			for _, l := range res.Lines {
				if counts(l) {
					v.last = l
				}
			}
			v.keep(t, step, images[j.Legs[i].Dump])
		}
	}
}

// counts tells whether a line says how far the threads are.
func counts(line string) bool { return strings.HasPrefix(line, "ok ") }

// back tells whether a thread is further in the first of two lines.
func back(first, then string) bool {
	b := strings.Fields(then)
	for i, f := range strings.Fields(first) {
		var x, y uint64
		_, _ = fmt.Sscan(f, &x)
		_, _ = fmt.Sscan(b[i], &y)
		if y < x {
			return true
		}
	}
	return false
}

func (v *traveller) method(kernel string) string {
	if kernel == v.origin {
		return "in place"
	}
	return "proxy"
}

// growth bounds how much larger than the first an image may be: how much of its
// stacks and its heap a process uses differs. Were a vDSO left over from each
// move, ten moves would make more.
func growth(first int) int { return 16<<10 + first/8 }

// keep takes an image, and looks at it.
func (v *traveller) keep(t *testing.T, step int, image []byte) {
	t.Helper()
	pair, err := vdsoOf(image)
	if err != nil {
		t.Fatalf("step %d, %s: %v", step, v.leg.Name, err)
	}
	t.Logf("step %d: %s: image of %d bytes; %s", step, v.leg.Name, len(image), pair)
	v.image = image
	if v.first == 0 {
		v.first, v.pair = len(image), pair
	}
	if len(image) > v.first+growth(v.first) {
		t.Errorf("step %d: the image of %s has grown from %d to %d bytes", step, v.leg.Name, v.first, len(image))
	}
	if pair != v.pair {
		t.Errorf("step %d: the vDSO of %s was %s, is %s", step, v.leg.Name, v.pair, pair)
	}
}

// TestChain moves victims ten times, across all kernels and back.
func TestChain(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	path := []string{own, "6.1", "7.2", "5.10", "6.12", own, "6.12", "5.10", "7.2", "6.1", own}
	route(t, path, []*traveller{
		{leg: start("from-own", own), origin: own},
		{leg: start("from-6.1", "6.1"), origin: "6.1"},
	}, nil)
	t.Logf("%d moves: %.1f s", len(path)-1, time.Since(begun).Seconds())
}

// TestPrograms moves a Go program and python.
func TestPrograms(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	python, lib := interpreter(t)
	const from = "6.1"
	route(t, []string{from, "7.2", "5.10"}, []*traveller{
		{leg: job.Leg{Name: "go", Program: []string{"/victim/goclock"}, Lines: 4, FirstID: 25000}, origin: from},
		{leg: job.Leg{Name: "python3", Program: python, Lines: 4, FirstID: 26000}, origin: from},
	}, lib)
	t.Logf("%.1f s", time.Since(begun).Seconds())
}

// interpreter is python's command, and all the files that it needs: the
// program, its libraries, and the one package that it can't begin without.
func interpreter(t *testing.T) ([]string, []job.File) {
	t.Helper()
	python, err := filepath.EvalSymlinks("/usr/bin/python3")
	if err != nil {
		t.Fatal(err)
	}
	ldd, err := exec.Command("ldd", python).Output()
	if err != nil {
		t.Fatalf("ldd %s: %v", python, err)
	}
	paths := []string{python}
	for _, f := range strings.Fields(string(ldd)) {
		if filepath.IsAbs(f) {
			paths = append(paths, f)
		}
	}
	where, err := exec.Command(python, "-I", "-c", "import encodings, os; print(encodings.__path__[0], os.__file__)").Output()
	if err != nil {
		t.Fatal(err)
	}
	encodings, landmark, _ := strings.Cut(strings.TrimSpace(string(where)), " ")
	paths = append(paths, landmark)
	for _, f := range []string{"__init__.py", "aliases.py", "utf_8.py", "ascii.py", "latin_1.py"} {
		paths = append(paths, filepath.Join(encodings, f))
	}
	script, err := filepath.Abs("victim/clock.py")
	if err != nil {
		t.Fatal(err)
	}
	dynamic := filepath.Join(filepath.Dir(landmark), "lib-dynload", "empty") // python looks for the folder
	list := []job.File{file(t, "victim/clock.py", script), {Name: dynamic[1:], Mode: 0o644}}
	for _, p := range paths {
		list = append(list, file(t, p[1:], p))
	}
	return []string{python, "-S", "-E", "/victim/clock.py"}, list
}

func file(t *testing.T, name, path string) job.File {
	t.Helper()
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return job.File{Name: name, Mode: int64(st.Mode().Perm()), Time: st.ModTime(), Data: b}
}

// vdsoOf says what imgcat shows of vDSOs in an image of one process: one, and
// nothing of floe's own.
func vdsoOf(b []byte) (string, error) {
	path := filepath.Join(scratch, "chain.img")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return "", err
	}
	imgcat := filepath.Join(bin, "imgcat")
	if out, err := exec.Command(imgcat, "--verify", path).CombinedOutput(); err != nil {
		return "", fmt.Errorf("imgcat --verify: %w: %s", err, out)
	}
	out, err := exec.Command(imgcat, path).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("imgcat: %w: %s", err, out)
	}
	var pairs, runtime []string
	areas := map[string]int{}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "vDSO runtime"): // where it was
			runtime = append(runtime, line)
		case strings.HasPrefix(line, "vDSO "):
			pairs = append(pairs, strings.TrimSpace(line))
		case strings.Contains(line, "floe "):
			if !strings.HasPrefix(line, "kernel ") {
				return "", fmt.Errorf("the image has something of floe's: %s", line)
			}
		case len(f) > 0 && (strings.HasPrefix(f[len(f)-1], "[vdso") || strings.HasPrefix(f[len(f)-1], "[vvar")):
			areas[f[len(f)-1]]++
		}
	}
	for name, n := range areas {
		if n != 1 {
			return "", fmt.Errorf("%d areas %s in the image:\n%s", n, name, out)
		}
	}
	if len(pairs) != 1 || len(runtime) > 1 {
		return "", fmt.Errorf("%d vDSOs in the image:\n%s", len(pairs), out)
	}
	return pairs[0], nil
}
