package image

import (
	"strings"

	"floe/lib/record"
)

// share keeps one of each of the things that many records have the same of: a
// process of 65,000 mappings has a dozen different lists of flags.
type share struct {
	lists   map[string][]string
	names   map[string]string
	actions map[action]*record.SigAction
	limits  map[[2]uint64]*record.Limit
	vdsos   map[string]*record.Vdso // by all that does not depend on the process
}

type action struct{ handler, flags, restorer, mask uint64 }

// maxShared bounds each table; what comes later is kept as it is.
const maxShared = 4096

func newShare() share {
	return share{map[string][]string{}, map[string]string{}, map[action]*record.SigAction{}, map[[2]uint64]*record.Limit{}, map[string]*record.Vdso{}}
}

// record lets a record have what others have already, and returns the bytes of
// memory that this saves.
func (s *share) record(rec *record.Record) int {
	switch b := rec.Body.(type) {
	case *record.Record_Vma:
		return s.vma(b.Vma)
	case *record.Record_Task:
		return s.task(b.Task)
	case *record.Record_Vdso:
		return s.vdso(b.Vdso)
	}
	return 0
}

// maxVdsos bounds their table: a tree has been on few kernels.
const maxVdsos = 16

// vdso lets a vDSO have another's bytes and symbols, the slices themselves:
// package vdso parses them once then.
func (s *share) vdso(v *record.Vdso) (saved int) {
	key, err := record.Encode(&record.Vdso{BuildId: v.BuildId, LinuxVersion: v.LinuxVersion, Symbols: v.Symbols, Image: v.Image})
	if err != nil {
		return 0
	}
	old := s.vdsos[string(key)]
	switch {
	case old != nil:
		v.BuildId, v.Symbols, v.Image = old.BuildId, old.Symbols, old.Image
		return len(key) + 2*element*len(v.Symbols)
	case len(s.vdsos) < maxVdsos:
		s.vdsos[string(key)] = v
	}
	return 0
}

func (s *share) vma(v *record.Vma) (saved int) {
	key := strings.Join(v.Flags, " ")
	if same(s.lists, key, &v.Flags) {
		saved += text*len(v.Flags) + 2*len(v.Flags) + len(key)
	}
	if same(s.names, v.Name, &v.Name) {
		saved += len(v.Name)
	}
	return saved
}

func (s *share) task(t *record.Task) (saved int) {
	const pointer = 8
	for i, a := range t.Actions {
		if same(s.actions, action{a.Handler, a.Flags, a.Restorer, a.Mask}, &t.Actions[i]) {
			saved += element - pointer
		}
	}
	for i, l := range t.Limits {
		if same(s.limits, [2]uint64{l.Cur, l.Max}, &t.Limits[i]) {
			saved += element - pointer
		}
	}
	return saved
}

// same makes *v the value that is kept for k, and tells whether there is one;
// if not, *v is kept.
func same[K comparable, V any](m map[K]V, k K, v *V) bool {
	old, ok := m[k]
	if ok {
		*v = old
	} else if len(m) < maxShared {
		m[k] = *v
	}
	return ok
}
