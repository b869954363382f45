package shapes

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// tally counts how seeds ended.
type tally struct {
	sync.Mutex
	outcomes map[string]int // and of those refused, by reason
	failed   []failed
	codes    map[string]int
	millis   float64
	tasks    int
	most     int
	total    int
	retried  int
}

type failed struct {
	program *Program
	result  *Result
}

func newTally() *tally { return &tally{outcomes: map[string]int{}, codes: map[string]int{}} }

func (t *tally) add(p *Program, r *Result) {
	t.Lock()
	defer t.Unlock()
	t.total++
	t.retried += r.Retried
	t.millis += r.Millis
	t.tasks += r.Tasks
	t.most = max(t.most, r.Tasks)
	for k, n := range r.Codes {
		t.codes[k] += n
	}
	key := string(r.Outcome)
	if r.Outcome != Same {
		key = r.Like()
	}
	t.outcomes[key]++
	if !r.Good() {
		t.failed = append(t.failed, failed{p, r})
	}
}

// failures are one of each kind, the shortest program first, at most n.
func (t *tally) failures(n int) []failed {
	slices.SortStableFunc(t.failed, func(a, b failed) int { return len(a.program.Steps) - len(b.program.Steps) })
	seen := map[string]bool{}
	var out []failed
	for _, f := range t.failed {
		if like := f.result.Like(); !seen[like] && len(out) < n {
			seen[like] = true
			out = append(out, f)
		}
	}
	return out
}

func (t *tally) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d seeds, %d of %d operations worked somewhere, %.1f tasks (most %d) and %.1f ms each; %d restores tried again: pids taken by others\n",
		t.total, len(t.codes), len(ops)-2, float64(t.tasks)/float64(t.total), t.most, t.millis/float64(t.total), t.retried)
	keys := slices.SortedFunc(maps.Keys(t.outcomes), func(x, y string) int {
		if d := t.outcomes[y] - t.outcomes[x]; d != 0 {
			return d
		}
		return strings.Compare(x, y)
	})
	for _, k := range keys {
		fmt.Fprintf(&b, "%7d %s%s\n", t.outcomes[k], k, t.seedsOf(k))
	}
	for _, o := range ops[2:] {
		if t.codes[o.name] == 0 {
			fmt.Fprintf(&b, "%7d %s\n", 0, o.name+" worked nowhere")
		}
	}
	return b.String()
}

// seedsOf are the first few seeds that failed like this.
func (t *tally) seedsOf(like string) (out string) {
	for _, f := range t.failed {
		if f.result.Like() == like && len(out) < 80 {
			out += fmt.Sprintf(" [%d]", f.program.Seed)
		}
	}
	return out
}

// seeds runs seeds from first on, as many at once as there are workers.
func (p *Pool) seeds(first uint64, n int, add func(*Program, *Result)) {
	var wg sync.WaitGroup
	queue := make(chan uint64)
	for range p.workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for seed := range queue {
				prog := Generate(seed)
				add(prog, p.Run(prog, false))
			}
		}()
	}
	for i := range n {
		queue <- first + uint64(i)
	}
	close(queue)
	wg.Wait()
}
