package image

import (
	"fmt"
	"iter"
	"slices"

	"floe/lib/record"
)

// index finds places by id. Ids mostly come in order; those that don't are kept
// apart.
type index[K int32 | uint64] struct {
	ids    []K // ascending
	places []place
	rest   map[K]place
}

func (x *index[K]) find(id K) (place, bool) {
	if i, ok := slices.BinarySearch(x.ids, id); ok {
		return x.places[i], true
	}
	p, ok := x.rest[id]
	return p, ok
}

func (x *index[K]) add(id K, p place) {
	if n := len(x.ids); n == 0 || id > x.ids[n-1] {
		x.ids, x.places = append(x.ids, id), append(x.places, p)
		return
	}
	if x.rest == nil {
		x.rest = map[K]place{}
	}
	x.rest[id] = p
}

// all are the ids: in order, if they came so.
func (x *index[K]) all() iter.Seq[K] {
	return func(yield func(K) bool) {
		for _, id := range x.ids {
			if !yield(id) {
				return
			}
		}
		for id := range x.rest {
			if !yield(id) {
				return
			}
		}
	}
}

// store keeps records of a kind of which there can be very many, encoded.
type store[K int32 | uint64] struct {
	*arena
	index index[K]
	what  string
}

// put keeps a record by its id, and returns the bytes that this takes.
func (s *store[K]) put(id K, rec record.Message) (int, error) {
	b, err := record.Encode(rec)
	if err != nil {
		return 0, err
	}
	return s.putBytes(id, b)
}

func (s *store[K]) putBytes(id K, b []byte) (int, error) {
	if id <= 0 {
		return 0, fmt.Errorf("the stream has %s %d: there is no such number", s.what, id)
	}
	if _, ok := s.index.find(id); ok {
		return 0, fmt.Errorf("the stream has %s %d twice", s.what, id)
	}
	p, n, err := s.add(b)
	if err != nil {
		return 0, fmt.Errorf("%s %d: memory for it: %w", s.what, id, err)
	}
	s.index.add(id, p)
	const entry = 2 * 16 // of a slice that grows
	return n + entry, nil
}

func (s *store[K]) has(id K) bool {
	_, ok := s.index.find(id)
	return ok
}

// bytes is the encoding of a record; nil without one.
func (s *store[K]) bytes(id K) []byte {
	p, ok := s.index.find(id)
	if !ok {
		return nil
	}
	return s.get(p)
}

// Thread is the thread with an id, or nil. It is made anew at each call.
func (im *Image) Thread(tid int32) *record.Thread {
	t := &record.Thread{}
	if b := im.threads.bytes(tid); b == nil || record.Decode(b, t) != nil {
		return nil
	}
	t.Pending = append(t.Pending, im.queued[tid]...)
	return t
}

// File is the file with an id, or nil. It is made anew at each call.
func (im *Image) File(id uint64) *record.File {
	f := &record.File{}
	if b := im.files.bytes(id); b == nil || record.Decode(b, f) != nil {
		return nil
	}
	return f
}

// HasFile tells whether there is a file with an id.
func (im *Image) HasFile(id uint64) bool { return im.files.has(id) }

// Files is all files.
func (im *Image) Files() iter.Seq2[uint64, *record.File] {
	return func(yield func(uint64, *record.File) bool) {
		for id := range im.files.index.all() {
			if !yield(id, im.File(id)) {
				return
			}
		}
	}
}

// OpenFile is the open file with an id, or nil. It is made anew at each call.
func (im *Image) OpenFile(id uint64) *record.OpenFile {
	o := &record.OpenFile{}
	if b := im.opens.bytes(id); b == nil || record.Decode(b, o) != nil {
		return nil
	}
	return o
}

// HasOpenFile tells whether there is an open file with an id.
func (im *Image) HasOpenFile(id uint64) bool { return im.opens.has(id) }

// PipeData is what is in a pipe, in memory of the caller's.
func (im *Image) PipeData(id uint64) []byte { return im.contents.bytes(id) }

// PipeBytes is how much is in a pipe.
func (im *Image) PipeBytes(id uint64) int { return im.piped[id] }

// Fd is a slot of a descriptor table, or nil.
func (im *Image) Fd(files uint64, fd int32) *record.Fd {
	list := im.Fds[files]
	i, ok := slices.BinarySearchFunc(list, fd, func(f *record.Fd, fd int32) int { return int(f.Fd) - int(fd) })
	if !ok {
		return nil
	}
	return list[i]
}
