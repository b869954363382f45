package shapes

import (
	"fmt"
	"regexp"
	"strings"
)

// Outcome is how a seed ended.
type Outcome string

// Outcomes. All but the first three are failures.
const (
	Same     Outcome = "same"
	Refused  Outcome = "refused"           // by the dump, by name; the tree runs on as it was
	Ended    Outcome = "ended"             // before the checkpoint, by its own doing: nothing was tested
	NotBack  Outcome = "not restored"      // killed, and restore fails
	Differs  Outcome = "restored, differs" // killed, restored, not the same
	Changed  Outcome = "refused, changed"  // the dump was refused, and the tree isn't as it was
	Unnamed  Outcome = "refused, unnamed"  // the dump failed and doesn't say why
	Lost     Outcome = "lost"              // the dump failed, and the tree is gone
	Hangs    Outcome = "hangs"
	Unsteady Outcome = "unsteady" // the program does not stay the same by itself
	Broken   Outcome = "broken"   // the test itself failed
)

// Result is what a run of a program gave.
type Result struct {
	Outcome Outcome
	Reason  string // one line
	Detail  string
	Tasks   int
	Millis  float64
	Carried int // operations that were carried out
	Worked  int // those that the kernel took
	Codes   map[string]int
	Retried int // restores, for a pid that a task outside of the tree had taken
}

// Good tells whether it is no failure.
func (r *Result) Good() bool { return r.Outcome == Same || r.Outcome == Refused || r.Outcome == Ended }

// Like is what failures of the same cause have alike, as far as that is seen.
func (r *Result) Like() string { return string(r.Outcome) + ": " + r.class() }

var (
	failedStage   = regexp.MustCompile(`^freeze: (\w+) failed: `) // freeze says it too, and may be first
	runsOn        = regexp.MustCompile(`; (task \d+|it) runs on$`)
	inParentheses = regexp.MustCompile(` ?\([^)]*\)+`)
	paths         = regexp.MustCompile(`/[^ :,]*`)
	numbers       = regexp.MustCompile(`0x[0-9a-f]+|\b[0-9a-f]{6,}\b|-?\d+`)
)

// class is the reason without names and numbers.
func (r *Result) class() string {
	s, _, _ := strings.Cut(r.Reason, "\n")
	if at := strings.Index(s, `: "`); at >= 0 && r.Outcome != Refused {
		quoted := at
		if word := strings.IndexAny(s[at+3:], " \""); strings.Contains(s[:at], "report") && word > 0 {
			quoted = at + 3 + word
		}
		s = s[:quoted]
	}
	s = failedStage.ReplaceAllString(s, "$1: ")
	s = runsOn.ReplaceAllString(s, "")
	s = inParentheses.ReplaceAllString(s, "")
	s = paths.ReplaceAllString(s, "FILE")
	s = numbers.ReplaceAllString(s, "N")
	return strings.TrimSpace(s)
}

func (r *Result) String() string {
	return fmt.Sprintf("%s: %s\n%s", r.Outcome, r.Reason, r.Detail)
}

// failure is an error with an outcome.
type failure struct {
	outcome        Outcome
	reason, detail string
}

func (f *failure) Error() string { return string(f.outcome) + ": " + f.reason }
