package attr

import (
	"fmt"
	"slices"

	"floe/lib/record"
	"floe/lib/stub"
)

// CheckProcess and CheckThread refuse what no kernel has.
func CheckProcess(t *record.Task) error {
	if t.Attrs == nil {
		return nil
	}
	return check(t, func(a *Attr) *Part[record.Task] { return &a.Process })
}

// CheckThread: see CheckProcess.
func CheckThread(t *record.Thread) error {
	if t.Attrs == nil {
		return nil
	}
	return check(t, func(a *Attr) *Part[record.Thread] { return &a.Thread })
}

func check[T any](t *T, part func(*Attr) *Part[T]) error {
	for _, a := range table {
		if f := part(a).Check; f != nil {
			if err := f(t); err != nil {
				return fmt.Errorf("%s: %w", a.Name, err)
			}
		}
	}
	return nil
}

// Fixed lists what the tree would inherit and restore can't keep it from.
func (h *Here) Fixed() (list []error) {
	for _, a := range table {
		if a.Fixed == nil || slices.Contains(h.Accept, a.Name) {
			continue
		}
		if what := a.Fixed(h); what != "" {
			list = append(list, fmt.Errorf("restore runs %s, which the tree would inherit; run restore without, or accept it: --inherit %s", what, a.Name))
		}
	}
	return list
}

// Names are the attributes that restore can be told to let the tree inherit.
func Names() (names []string) {
	for _, a := range table {
		if a.Fixed != nil {
			names = append(names, a.Name)
		}
	}
	return names
}

// CannotProcess and CannotThread list why this machine or this user can't give a
// task what it had.
func (h *Here) CannotProcess(t *record.Task) []error {
	if t.Attrs == nil {
		return nil
	}
	return cannot(h, t, func(a *Attr) *Part[record.Task] { return &a.Process })
}

// CannotThread: see CannotProcess.
func (h *Here) CannotThread(t *record.Thread) []error {
	if t.Attrs == nil {
		return nil
	}
	return cannot(h, t, func(a *Attr) *Part[record.Thread] { return &a.Thread })
}

func cannot[T any](h *Here, t *T, part func(*Attr) *Part[T]) (list []error) {
	for _, a := range table {
		if f := part(a).Cannot; f != nil {
			if err := f(h, t); err != nil {
				list = append(list, fmt.Errorf("%s: %w", a.Name, err))
			}
		}
	}
	return list
}

// PlaceFirst sets from outside what the first puppet takes on for all.
func (h *Here) PlaceFirst(pid int) error {
	for _, a := range table {
		if a.Place != nil {
			if err := a.Place(h, pid); err != nil {
				return fmt.Errorf("%s: %w", a.Name, err)
			}
		}
	}
	return nil
}

// Place sets from outside what a process must have before its memory.
func (h *Here) Place(t *record.Task) error {
	if t.Attrs == nil {
		return nil
	}
	for _, a := range table {
		if f := a.Process.Place; f != nil {
			if err := f(h, int(t.Pid), t); err != nil {
				return fmt.Errorf("%s: %w", a.Name, err)
			}
		}
	}
	return nil
}

// Seed are the lists of calls of the first puppet: what it inherited is cleared,
// what all tasks have set.
func (h *Here) Seed() (lists [][]stub.Call) {
	for _, a := range table {
		if a.Neutral != nil {
			lists = append(lists, a.Neutral())
		}
		if a.Seed != nil {
			lists = append(lists, a.Seed(h))
		}
	}
	return lists
}

// Fork are the calls of a task that is about to make one that begins with thread
// t, having just made before; nil: not one of the image.
func Fork(before, t *record.Thread) (calls []stub.Call) {
	if t == nil || t.Attrs == nil {
		return nil
	}
	for _, a := range table {
		if a.Fork != nil {
			calls = append(calls, a.Fork(before, t)...)
		}
	}
	return calls
}

// Early are the lists of calls of a process before its memory is mapped.
func (h *Here) Early(t *record.Task) (lists [][]stub.Call) {
	if t.Attrs == nil {
		return nil
	}
	for _, a := range table {
		if a.Process.Early == nil {
			continue
		}
		if calls := a.Process.Early(h, t); len(calls) > 0 {
			lists = append(lists, calls)
		}
	}
	return lists
}

// Set, SetThread and Last are calls of their moment: see Part.
func (h *Here) Set(t *record.Task) []stub.Call {
	return h.process(t, func(p *Part[record.Task]) func(*Here, *record.Task) []stub.Call { return p.Set })
}

// Last: see Set.
func (h *Here) Last(t *record.Task) []stub.Call {
	return h.process(t, func(p *Part[record.Task]) func(*Here, *record.Task) []stub.Call { return p.Last })
}

func (h *Here) process(t *record.Task, moment func(*Part[record.Task]) func(*Here, *record.Task) []stub.Call) (calls []stub.Call) {
	if t.Attrs == nil {
		return nil
	}
	for _, a := range table {
		if f := moment(&a.Process); f != nil {
			calls = append(calls, f(h, t)...)
		}
	}
	return calls
}

// SetThread: see Set.
func (h *Here) SetThread(t *record.Thread) (calls []stub.Call) {
	if t.Attrs == nil {
		return nil
	}
	for _, a := range table {
		if f := a.Thread.Set; f != nil {
			calls = append(calls, f(h, t)...)
		}
	}
	return calls
}

// Run makes the calls of a process that depend on what others return.
func Run(run func([]stub.Call) ([]int64, error), t *record.Task) error {
	if t.Attrs == nil {
		return nil
	}
	for _, a := range table {
		if f := a.Process.Run; f != nil {
			if err := f(run, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// WriteProcess and WriteThread set from outside.
func (h *Here) WriteProcess(t *record.Task) error {
	if t.Attrs == nil {
		return nil
	}
	return write(h, int(t.Pid), t, func(a *Attr) *Part[record.Task] { return &a.Process })
}

// WriteThread: see WriteProcess.
func (h *Here) WriteThread(t *record.Thread) error {
	if t.Attrs == nil {
		return nil
	}
	return write(h, int(t.Tid), t, func(a *Attr) *Part[record.Thread] { return &a.Thread })
}

func write[T any](h *Here, id int, t *T, part func(*Attr) *Part[T]) error {
	for _, a := range table {
		if f := part(a).Write; f != nil {
			if err := f(h, id, t); err != nil {
				return fmt.Errorf("%s: %w", a.Name, err)
			}
		}
	}
	return nil
}
