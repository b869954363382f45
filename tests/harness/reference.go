package harness

import (
	"strconv"
	"sync"
	"testing"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

// reference is how an uninterrupted run of a victim went.
type reference struct {
	once    sync.Once
	outcome string
	took    time.Duration
}

var references sync.Map // name of a victim to *reference

// Reference runs a victim without interrupting it, once in a test process, and
// says what came out and how long it took from the first output.
func Reference(t testing.TB, v *Victim) (outcome string, took time.Duration) {
	t.Helper()
	x, _ := references.LoadOrStore(v.Name, &reference{})
	ref := x.(*reference)
	ref.once.Do(func() {
		r := Launch(t, v, nil)
		begun := time.Now()
		if e := r.End(t); e.Code() != 0 {
			t.Fatalf("%s, uninterrupted: %s\n%s", v.Name, e, r.Outcome(t))
		}
		ref.outcome, ref.took = r.Outcome(t), time.Since(begun)
	})
	if ref.outcome == "" {
		t.Fatalf("%s: its uninterrupted run failed", v.Name)
	}
	return ref.outcome, ref.took
}

// Check waits for the victim's end and compares with an uninterrupted run.
func (r *Running) Check(t testing.TB) {
	t.Helper()
	want, _ := Reference(t, r.Victim)
	e := r.End(t)
	got := r.Outcome(t)
	if e.Code() != 0 || got != want {
		t.Fatalf("%s: %s\ngot:\n%s\nwant:\n%s", r.Name, e, tail(got), tail(want))
	}
}

func tail(s string) string {
	const most = 1500
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return s
}
