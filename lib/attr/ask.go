package attr

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

// DataFunc gives the data of an argument of a call that has been made.
type DataFunc func(call, arg int) ([]byte, error)

// Answers are what the calls of one attribute returned.
type Answers struct {
	calls   []stub.Call
	results []int64
	first   int // of the calls in the list that was run
	data    DataFunc
}

// Value is what a call returned. ok is false when it failed with one of the
// errnos that say that the kernel has no such thing.
func (a *Answers) Value(call int, absent ...unix.Errno) (v int64, ok bool, err error) {
	v = a.results[call]
	if v >= 0 || v < -stub.MaxErrno {
		return v, true, nil
	}
	if e := unix.Errno(-v); !slices.Contains(absent, e) {
		return 0, false, fmt.Errorf("%s: %w", a.calls[call].Name(), e)
	}
	return 0, false, nil
}

// Data is an argument of a call, as it was after the call.
func (a *Answers) Data(call, arg int) ([]byte, error) { return a.data(a.first+call, arg) }

// Questions are the calls of all attributes for one task.
type Questions struct {
	Calls   []stub.Call
	answers []func(results []int64, data DataFunc) error
}

// AskProcess is what a process is asked, and AskThread what each of its threads
// is; both are made by a thread itself.
func AskProcess(l *Live, t *record.Task) *Questions {
	return ask(l, t, func(a *Attr) *Part[record.Task] { return &a.Process })
}

// AskThread: see AskProcess.
func AskThread(l *Live, t *record.Thread) *Questions {
	return ask(l, t, func(a *Attr) *Part[record.Thread] { return &a.Thread })
}

func ask[T any](l *Live, t *T, part func(*Attr) *Part[T]) *Questions {
	q := &Questions{}
	for _, a := range table {
		p := part(a)
		if p.Ask == nil {
			continue
		}
		first, calls := len(q.Calls), p.Ask(l, t)
		if len(calls) == 0 {
			continue
		}
		q.Calls = append(q.Calls, calls...)
		q.answers = append(q.answers, func(results []int64, data DataFunc) error {
			got := &Answers{calls: calls, results: results[first : first+len(calls)], first: first, data: data}
			if err := p.Answer(got, t); err != nil {
				return fmt.Errorf("%s: %w", a.Name, err)
			}
			return nil
		})
	}
	return q
}

// Alike are calls that return the same in two threads of a process when all that
// AskThread would ask is the same in both, as it mostly is; nil: there are none
// that tell. first is a thread that has been asked, and the one that it is about.
func Alike(l *Live, first *record.Thread) (calls []stub.Call) {
	for _, a := range table {
		p := &a.Thread
		if p.Ask == nil {
			continue
		}
		if p.Alike == nil {
			return nil
		}
		more := p.Alike(l, first)
		for i := range more {
			for j := range more[i].Args {
				if arg := &more[i].Args[j]; arg.Kind == stub.Result {
					arg.Val += uint64(len(calls))
				}
			}
		}
		calls = append(calls, more...)
	}
	return calls
}

// SameAs gives a thread what another one was found to have by its answers.
func SameAs(t, first *record.Thread) {
	attrs := *first.Attrs
	t.Attrs = &attrs
}

// Answer takes what the calls returned, into the record that was asked for.
func (q *Questions) Answer(results []int64, data DataFunc) error {
	for _, f := range q.answers {
		if err := f(results, data); err != nil {
			return err
		}
	}
	return nil
}

// LookProcess and LookThread read what is to be seen from outside.
func LookProcess(l *Live, t *record.Task) error {
	return look(l, t, func(a *Attr) *Part[record.Task] { return &a.Process })
}

// LookThread: see LookProcess.
func LookThread(l *Live, t *record.Thread) error {
	return look(l, t, func(a *Attr) *Part[record.Thread] { return &a.Thread })
}

func look[T any](l *Live, t *T, part func(*Attr) *Part[T]) error {
	for _, a := range table {
		if f := part(a).Look; f != nil {
			if err := f(l, t); err != nil {
				return fmt.Errorf("%s: %w", a.Name, err)
			}
		}
	}
	return nil
}
