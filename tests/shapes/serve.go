package shapes

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// serve runs a program, checkpoints and restores it, and compares.
func (w *worker) serve(j job) *Result {
	p, err := ParseProgram(strings.NewReader(j.Program))
	if err == nil {
		err = w.clear()
	}
	if err != nil {
		return &Result{Outcome: Broken, Reason: err.Error()}
	}
	begun := time.Now()
	var late atomic.Bool
	watch := time.AfterFunc(Limit, func() {
		late.Store(true)
		_ = unix.Kill(-1, unix.SIGKILL)
	})
	t, err := w.start(p)
	result := &Result{}
	if err == nil {
		result = t.result
		result.Outcome = Same
		err = t.through(j.Plain)
		_ = t.c.unmap()
	}
	watch.Stop()
	var f *failure
	switch {
	case late.Load():
		result.Outcome, result.Reason = Hangs, fmt.Sprintf("not over after %s", Limit)
	case errors.As(err, &f):
		result.Outcome, result.Reason, result.Detail = f.outcome, f.reason, f.detail
	case err != nil:
		result.Outcome, result.Reason = Broken, err.Error()
	}
	if err := w.clear(); err != nil {
		result.Outcome, result.Reason = Broken, err.Error()
	}
	result.Millis = float64(time.Since(begun).Microseconds()) / 1000
	return result
}

// state is all that is compared.
type state struct {
	picture  picture
	contents map[int]*contents
	reports  map[int]string // of slots whose tasks run
}

// through takes a tree through a checkpoint and a restore.
func (t *tree) through(plain bool) error {
	for _, s := range t.program.Steps {
		if _, err := t.run(s); err != nil {
			return err
		}
	}
	early, err := t.rehearse()
	if err != nil {
		return err
	}
	if !t.alive(0) { // be it of a signal that waited for the end of a stop
		return &failure{Ended, "the root has ended before the checkpoint", ""}
	}
	before, stopped, err := t.before()
	if err != nil {
		return err
	}
	t.result.Tasks = len(before.picture.tids())
	refused := error(nil)
	if !plain {
		members := t.members()
		if refused, err = t.checkpoint(members); err != nil {
			return err
		}
		if refused == nil {
			if err := t.restore(before, members); err != nil {
				return err
			}
		}
	}
	if err := t.after(before, stopped, early, refused != nil || plain); err != nil {
		var f *failure
		if errors.As(err, &f) && f.outcome == Differs && refused != nil {
			f.outcome = Changed
		}
		if f != nil && plain && f.outcome == Differs {
			f.outcome = Unsteady
		}
		return err
	}
	if refused != nil {
		return refused
	}
	return nil
}

// rehearse stops and continues what will be stopped: what its parent hears of it
// the first time stays pending, and nothing is added later. Then all report.
func (t *tree) rehearse() (map[int]string, error) {
	if err := t.stop(); err != nil {
		return nil, err
	}
	if err := t.goOn(); err != nil {
		return nil, err
	}
	// A task in sigsuspend that is traced for a moment gets what its own mask
	// lets through, and may end of it: that must not come after the reports.
	if err := t.takeQueues(picture{}); err != nil {
		return nil, err
	}
	if err := t.settle(); err != nil {
		return nil, err
	}
	return t.reports()
}

func (t *tree) stop() error {
	for _, s := range t.program.Stops {
		if tgid := atomic.LoadUint32(&t.c.slot[s.Task].tgid); tgid != 0 && stateOf(int(tgid)) == 'S' {
			_ = unix.Kill(int(tgid), unix.Signal(s.Signal))
			if err := t.settle(); err != nil {
				return err
			}
		}
	}
	return nil
}

// goOn continues what has stopped, be it by the exit signal of a child.
func (t *tree) goOn() error {
	for i := range t.c.slot {
		if t.state(i) == 'T' {
			_ = unix.Kill(int(atomic.LoadUint32(&t.c.slot[i].tgid)), unix.SIGCONT)
		}
	}
	return t.settle()
}

// withoutPlace takes the group and the session out of a report: whether they are
// the same, or outside before and after, is seen in /proc.
var withoutPlace = regexp.MustCompile(`(?m)^(pid \S+ \S+ \S+) \S+ \S+$`)

// reports are those of all tasks that have turns.
func (t *tree) reports() (map[int]string, error) {
	out := map[int]string{}
	for i := range t.c.slot {
		if !t.ready(i) {
			continue
		}
		if _, err := t.run(Step{Task: i, Code: mustCode("report")}); err != nil {
			return nil, err
		}
		s := &t.c.slot[i]
		out[i] = withoutPlace.ReplaceAllString(string(s.text[:min(s.length, textSize)]), "$1")
		if s.length >= textSize-1 {
			return nil, fmt.Errorf("the report of task %d is too long", s.tid)
		}
	}
	return out, nil
}

func mustCode(name string) int {
	code, ok := opCode(name)
	if !ok {
		panic(name + " is no operation")
	}
	return code
}

// before stops what is to be stopped, and looks at everything.
func (t *tree) before() (*state, map[int]bool, error) {
	if err := t.stop(); err != nil {
		return nil, nil, err
	}
	stopped := map[int]bool{}
	for i := range t.c.slot {
		stopped[i] = t.state(i) == 'T'
	}
	reports, err := t.reports()
	if err != nil {
		return nil, nil, err
	}
	// Twice: a task in sigsuspend that is stopped for a moment may drop what its
	// own mask lets through and its handlers ignore.
	queues := picture{}
	for range 2 {
		clear(queues)
		if err := t.takeQueues(queues); err != nil {
			return nil, nil, err
		}
		if err := t.settle(); err != nil {
			return nil, nil, err
		}
	}
	s := &state{picture: t.look(), contents: takeContents(nil), reports: reports}
	for k, v := range queues {
		s.picture[k] = v
	}
	return s, stopped, nil
}

// look takes a picture, of the tree first: numbers in it don't depend on others.
func (t *tree) look() picture {
	inside := t.members()
	slices.Sort(inside)
	outside := slices.DeleteFunc(processes(), func(pid int) bool { return slices.Contains(inside, pid) })
	p := takePicture(inside, outside)
	p.takeSharing(p.living())
	p.takeOpenFiles(inside)
	p.takeOpenFiles(outside)
	return p
}

func (t *tree) image() string { return t.dir + "/image" }

// messages is a file for what the programs say.
func (t *tree) messages() (*os.File, error) {
	return os.OpenFile(t.dir+"/messages", os.O_RDWR|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
}
