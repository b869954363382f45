package shapes

import "golang.org/x/sys/unix"

// adjustNew notes the kind of a new descriptor.
func adjustNew(kind string) func(*generator, *task, []int64) bool {
	return func(g *generator, t *task, v []int64) bool {
		t.table.kind[v[0]] = kind
		if kind == anEvent && v[1]&1 == 0 {
			v[1] >>= g.IntN(32)
		}
		return true
	}
}

// adjustOn chooses a descriptor of one of the kinds.
func adjustOn(kinds ...string) func(*generator, *task, []int64) bool {
	return func(g *generator, t *task, v []int64) bool {
		n, ok := g.fd(t, kinds...)
		v[0] = n
		return ok
	}
}

func adjustClose(g *generator, t *task, v []int64) bool {
	if !adjustOn(anything)(g, t, v) {
		return false
	}
	delete(t.table.kind, v[0])
	return true
}

func adjustDup(g *generator, t *task, v []int64) bool {
	if !adjustOn(anything)(g, t, v) || v[0] == v[1] {
		return false
	}
	t.table.kind[v[1]] = t.table.kind[v[0]]
	return true
}

func adjustPipe(g *generator, t *task, v []int64) bool {
	if v[0] == v[1] {
		return false
	}
	t.table.kind[v[0]], t.table.kind[v[1]] = aPipe, aPipe
	return true
}

// adjustFifo opens both ways mostly: without a reader a writer is refused.
func adjustFifo(g *generator, t *task, v []int64) bool {
	if g.IntN(2) == 0 {
		v[2] = v[2]&^unix.O_WRONLY | unix.O_RDWR
	}
	t.table.kind[v[0]] = aPipe
	return true
}

func adjustPut(g *generator, t *task, v []int64) bool {
	if g.IntN(2) == 0 {
		v[1] = 1 + g.Int64N(100)
	}
	return adjustOn(aPipe, aPipe, aFile)(g, t, v)
}

func adjustGet(g *generator, t *task, v []int64) bool { return adjustOn(aPipe, aFile)(g, t, v) }

func adjustWatch(g *generator, t *task, v []int64) bool {
	e, ok := g.fd(t, anEpoll)
	n, ok2 := g.fd(t, aPipe, anEvent, aTimer, aSignal, anEpoll, aPidfd)
	v[0], v[1] = e, n
	if g.IntN(2) == 0 {
		v[2] = unix.EPOLL_CTL_ADD
	}
	if !g.edge {
		v[3] &^= 1 << 31
	}
	return ok && ok2 && e != n
}
