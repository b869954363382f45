package kernels

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"floe/tests/kernels/job"
)

// The processor that is emulated lacks some of what this one may have: the C
// library is told to do without.
var baseline = []string{"GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX512CD,-AVX512DQ,-AVX2"}

// firstID is above the ids of every kernel's own threads; a kernel's victims
// have ids of their own, so that those of several can live together.
func firstID(kernel string) int {
	for i, k := range kernels {
		if k == kernel {
			return 20000 + 1000*i
		}
	}
	panic(kernel)
}

func start(name, kernel string) job.Leg {
	return job.Leg{Name: name, Program: []string{"/victim/vdso"}, Env: baseline, Lines: 3, FirstID: firstID(kernel)}
}

// TestMatrix dumps the victim on every kernel, and restores each image on every
// kernel twice.
func TestMatrix(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	var mu sync.Mutex
	images, random := map[string][]byte{}, map[string]bool{}
	cells, made := map[[2]string]string{}, map[string][]string{}
	each(func(kernel string) {
		l := start("dump", kernel)
		l.Quiet, l.Dump = true, "img/"+kernel
		r, dumps, err := machine(t, kernel, job.Job{Legs: []job.Leg{l}}, nil)
		mu.Lock()
		defer mu.Unlock()
		if err == nil && r.Results[0].Failed != "" {
			err = errors.New(r.Results[0].Failed)
		}
		if err != nil {
			t.Errorf("dump on %s: %v", kernel, err)
			for _, to := range kernels {
				cells[[2]string{kernel, to}] = "no dump"
			}
			return
		}
		checkFeatures(t, r)
		images[kernel] = dumps[l.Dump]
		random[kernel] = slices.Contains(strings.Fields(r.Results[0].Lines[0]), "getrandom")
		t.Logf("dump on %s: %d bytes, %s", kernel, len(images[kernel]), r.Results[0].Lines[0])
	})
	dumped := time.Now()
	each(func(kernel string) {
		j, files := restores(images)
		r, _, err := machine(t, kernel, j, files)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			t.Errorf("restores on %s: %v", kernel, err)
			return
		}
		for i := 0; i < len(r.Results); i += 2 {
			a, b := &r.Results[i], &r.Results[i+1]
			from := strings.TrimPrefix(a.Name, "from ")
			cell := verdict(from, kernel, random[from], a, b)
			if cell != a.Method {
				t.Errorf("dumped on %s, restored on %s: %s", from, kernel, cell)
			}
			cells[[2]string{from, kernel}] = cell
			made[from] = append(append(made[from], a.Random...), b.Random...)
		}
	})
	for from, lines := range made { // on whatever kernel
		if what, _ := repeated(lines); what != "" {
			t.Errorf("dumped on %s: %s", from, what)
		}
	}
	table := drawn(cells)
	fmt.Print(table)
	t.Logf("5x5:\n%s", table)
	t.Logf("dumps %.1f s, restores %.1f s", dumped.Sub(begun).Seconds(), time.Since(dumped).Seconds())
}

// each calls f for every kernel, at the same time.
func each(f func(kernel string)) {
	var wg sync.WaitGroup
	for _, k := range kernels {
		wg.Go(func() { f(k) })
	}
	wg.Wait()
}

// restores is the job to restore each image twice.
func restores(images map[string][]byte) (j job.Job, files []job.File) {
	for _, k := range kernels {
		b := images[k]
		if b == nil {
			continue
		}
		path := "img/" + k
		files = append(files, job.File{Name: path, Mode: 0o600, Data: b})
		for _, name := range []string{"from " + k, "again from " + k} {
			j.Legs = append(j.Legs, job.Leg{Name: name, Image: "/" + path, Lines: 3, Random: true})
		}
	}
	return j, files
}

// verdict is a cell of the table: the method when all is well.
func verdict(from, to string, random bool, a, b *job.Result) string {
	for _, r := range []*job.Result{a, b} {
		if r.Failed != "" {
			return short(r.Failed)
		}
	}
	if want := map[bool]string{true: "in place", false: "proxy"}[from == to]; a.Method != want || b.Method != want {
		return fmt.Sprintf("%s and %s, not %s", a.Method, b.Method, want)
	}
	what, n := repeated(append(a.Random, b.Random...))
	if what != "" {
		return what
	}
	const values = 2 * 4 * 8 * 2 // restores, threads, calls, halves of what each gives
	if random && n != values {
		return fmt.Sprintf("%d random values, not %d", n, values)
	}
	return a.Method
}

// short is the beginning of an error, for a cell.
func short(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	const most = 160
	return s[:min(len(s), most)]
}

// repeated tells about random bytes that came twice, and how many values there
// are.
func repeated(lines []string) (what string, n int) {
	seen := map[string]bool{}
	const digits = 32
	for _, l := range lines {
		f := strings.Fields(l)
		for text := f[len(f)-1]; len(f) > 2 && len(text) >= digits; text = text[digits:] {
			if seen[text[:digits]] {
				return "random bytes came twice: " + text[:digits], 0
			}
			seen[text[:digits]] = true
		}
	}
	return "", len(seen)
}

// drawn is the table: rows are where it was dumped, columns where restored.
func drawn(cells map[[2]string]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-12s", "dumped on")
	for _, to := range kernels {
		fmt.Fprintf(&b, "%-12s", "-> "+to)
	}
	b.WriteByte('\n')
	var notes []string
	for _, from := range kernels {
		fmt.Fprintf(&b, "%-12s", from)
		for _, to := range kernels {
			cell := cells[[2]string{from, to}]
			if cell == "" {
				cell = "no answer"
			}
			switch cell {
			case "in place", "proxy", "no dump":
			default:
				notes = append(notes, fmt.Sprintf("(%d) %s -> %s: %s\n", len(notes)+1, from, to, cell))
				cell = fmt.Sprintf("FAILED (%d)", len(notes))
			}
			fmt.Fprintf(&b, "%-12s", cell)
		}
		b.WriteByte('\n')
	}
	return b.String() + strings.Join(notes, "")
}
