package shapes

import "golang.org/x/sys/unix"

const half = arenaPages / 2

// lower tells whether a range is in the lower half; false for both: in neither.
func lower(at, pages int64) (low, high bool) { return at+pages <= half, at >= half }

func (s *space) add(at, pages int64) { s.spans = append(s.spans, span{at, pages}) }

// sharing makes the flags say private or shared, but never both, and leaves out
// what needs another.
func sharing(g *generator, v *int64, low bool) {
	f := *v &^ (unix.MAP_SHARED | unix.MAP_PRIVATE)
	switch {
	case f&unix.MAP_DROPPABLE == unix.MAP_DROPPABLE && g.IntN(4) == 0 && !low:
		f |= unix.MAP_DROPPABLE
	case low || g.IntN(2) == 0:
		f = f&^unix.MAP_DROPPABLE | unix.MAP_PRIVATE
	default:
		f = f&^unix.MAP_DROPPABLE | unix.MAP_SHARED
	}
	*v = f
}

// adjustMap puts most mappings near others.
func adjustMap(g *generator, t *task, v []int64) bool {
	if len(t.space.spans) > 0 && g.IntN(3) > 0 {
		s := t.space.spans[g.IntN(len(t.space.spans))]
		v[0] = min(s.at+s.pages+g.Int64N(3), arenaPages-1)
	}
	v[1] = min(v[1], arenaPages-v[0])
	low, high := lower(v[0], v[1])
	if !low && !high {
		v[1] = half - v[0]
		low = true
	}
	if g.IntN(4) > 0 {
		v[2] |= unix.PROT_READ | unix.PROT_WRITE
	}
	if v[2]&unix.PROT_WRITE != 0 {
		v[2] |= unix.PROT_READ
	}
	sharing(g, &v[3], low)
	t.space.add(v[0], v[1])
	return true
}

func adjustMapFile(g *generator, t *task, v []int64) bool {
	v[0] = half + v[0]%half
	return adjustMap(g, t, v) && v[0] >= half
}

func adjustMapFD(g *generator, t *task, v []int64) bool {
	n, ok := g.fd(t, aFile)
	if !ok {
		return false
	}
	v[4] = n
	return adjustMapFile(g, t, v)
}

func adjustHuge(g *generator, t *task, v []int64) bool {
	sharing(g, &v[0], true)
	return g.IntN(4) == 0
}

// adjustRange chooses a part of what is mapped, and a little more at times.
func adjustRange(g *generator, t *task, v []int64) bool {
	if len(t.space.spans) == 0 {
		return false
	}
	s := t.space.spans[g.IntN(len(t.space.spans))]
	v[0], v[1] = s.at, s.pages
	if g.IntN(2) == 0 {
		v[0] += g.Int64N(s.pages)
		v[1] = 1 + g.Int64N(s.pages)
	}
	v[1] = min(v[1], arenaPages-v[0])
	return true
}

// adjustRemap stays in one half. What grows may end where it was made to end, if it
// is shared anonymous memory.
func adjustRemap(g *generator, t *task, v []int64) bool {
	if !adjustRange(g, t, v) {
		return false
	}
	low, high := lower(v[0], v[1])
	if !low && !high {
		return false
	}
	if g.IntN(2) == 0 {
		v[3] = min(v[3], v[1])
	}
	if v[4] != 0 {
		v[3] = v[1]
	}
	v[2] %= half
	v[3] = min(v[3], half-v[2])
	if high {
		v[2] += half
	}
	if v[2] < v[0]+v[1] && v[0] < v[2]+v[3] {
		return false
	}
	t.space.add(v[2], v[3])
	return true
}

func adjustResize(g *generator, t *task, v []int64) bool {
	if !adjustRange(g, t, v) {
		return false
	}
	if low, high := lower(v[0], max(v[1], v[2])); !low && !high {
		v[2] = min(v[1], v[2])
	}
	return true
}
