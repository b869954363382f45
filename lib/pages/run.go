package pages

// Run is a range of whole pages: of an address space, or of a shared object
// (Addr is then the offset in it).
type Run struct {
	Addr  uint64 // bytes, a multiple of PageSize
	Pages uint64
}

// End is the first byte after the run.
func (r Run) End() uint64 { return r.Addr + r.Pages*PageSize }

// appendRun adds a run, joining it to the last one where they touch.
func appendRun(runs []Run, r Run) []Run {
	if r.Pages == 0 {
		return runs
	}
	if n := len(runs); n > 0 && runs[n-1].End() == r.Addr {
		runs[n-1].Pages += r.Pages
		return runs
	}
	return append(runs, r)
}

// countPages is the number of pages in all runs.
func countPages(runs []Run) uint64 {
	var n uint64
	for _, r := range runs {
		n += r.Pages
	}
	return n
}

// appendMerged adds the runs of two lists, each in order of address, in order
// of address.
func appendMerged(runs, a, b []Run) []Run {
	for len(a) > 0 && len(b) > 0 {
		if a[0].Addr < b[0].Addr {
			runs, a = appendRun(runs, a[0]), a[1:]
		} else {
			runs, b = appendRun(runs, b[0]), b[1:]
		}
	}
	for _, r := range append(a[:len(a):len(a)], b...) {
		runs = appendRun(runs, r)
	}
	return runs
}

// cutRuns cuts runs after n pages; runs stays as it is.
func cutRuns(runs []Run, n uint64) (head, tail []Run) {
	for i, r := range runs {
		if n == 0 {
			return runs[:i:i], runs[i:]
		}
		if r.Pages > n {
			head = append(runs[:i:i], Run{r.Addr, n})
			return head, append([]Run{{r.Addr + n*PageSize, r.Pages - n}}, runs[i+1:]...)
		}
		n -= r.Pages
	}
	return runs, nil
}
