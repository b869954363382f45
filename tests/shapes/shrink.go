package shapes

// Shrink makes a program that fails shorter, as long as it fails alike; it tries
// at most tries programs.
func Shrink(p *Program, like string, tries int, run func(*Program) *Result) *Program {
	fails := func(q *Program) bool {
		if tries--; tries < 0 {
			return false
		}
		r := run(q)
		return !r.Good() && r.Like() == like
	}
	for chunk := max(1, len(p.Steps)/2); ; chunk /= 2 {
		for at := 0; at < len(p.Steps) && tries > 0; {
			q := *p
			end := min(at+chunk, len(p.Steps))
			q.Steps = append(append([]Step(nil), p.Steps[:at]...), p.Steps[end:]...)
			if fails(&q) {
				p = &q
			} else {
				at = end
			}
		}
		if chunk <= 1 {
			break
		}
	}
	for i := 0; i < len(p.Stops) && tries > 0; {
		q := *p
		q.Stops = append(append([]Stop(nil), p.Stops[:i]...), p.Stops[i+1:]...)
		if fails(&q) {
			p = &q
		} else {
			i++
		}
	}
	return simplify(p, fails)
}

// simplify makes arguments zero or least, where it fails all the same.
func simplify(p *Program, fails func(*Program) bool) *Program {
	for i := range p.Steps {
		for k, a := range ops[p.Steps[i].Code].args {
			if a.names != nil && !a.flags || a.name == "slot" || p.Steps[i].Args[k] == a.lo {
				continue
			}
			q := *p
			q.Steps = append([]Step(nil), p.Steps...)
			q.Steps[i].Args = append([]int64(nil), p.Steps[i].Args...)
			q.Steps[i].Args[k] = a.lo
			if fails(&q) {
				p = &q
			}
		}
	}
	return p
}
