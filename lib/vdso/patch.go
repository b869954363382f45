package vdso

import (
	"errors"
	"fmt"
	"slices"
)

// Random are the sizes of the opaque state of getrandom, bytes; 0 where a vDSO
// has no getrandom, or nobody knows. A process allocates its states in the size
// that the vDSO told it, and a vDSO refuses those of another size.
type Random struct{ Image, Runtime uint32 }

// Patch makes the code area of a proxy: the image's, with every function that
// needs the kernel led to the runtime's, or to the system call. Both vDSOs have
// the areas that they will have in the process. The outcome belongs where the
// image's code area says, readable and executable, and depends on nothing but
// what is given here, so that it can be made again to tell a proxy from a forgery.
//
// What a function's entry does stands at the entry itself where it fits, and in
// the body of another function where not: bodies are dead, and otherwise full of
// traps. So there is no code but in the two code areas, nothing on the stack
// while a function of the runtime's is being run, and nothing that still reads
// the image's data areas. Nobody may be inside of the image's code area when it
// changes.
func Patch(image, runtime VDSO, random Random) ([]byte, error) {
	v := Force(image, runtime)
	switch {
	case v.Kind != Proxy:
		return nil, fmt.Errorf("vdso: no proxy for it: %s", v)
	case len(v.Functions) == 0:
		return nil, errors.New("vdso: it has no functions")
	}
	code, ok, err := Code(image.Areas)
	if err != nil {
		return nil, err
	}
	rt, rtOK, err := Code(runtime.Areas)
	if err != nil {
		return nil, err
	}
	if !ok || !rtOK || code.Size() != uint64(len(image.Image.code)) || rt.Size() != uint64(len(runtime.Image.code)) {
		return nil, errors.New("vdso: a proxy needs the areas of code of both vDSOs, whole")
	}
	p := &patcher{code: image.Image.Pristine(), base: code.Start, runtime: rt.Start, random: random}
	if err := p.run(v.Functions); err != nil {
		return nil, fmt.Errorf("vdso: %w", err)
	}
	return p.code, nil
}

// span is a range of offsets in the code area.
type span struct{ from, to uint64 }

type patcher struct {
	code    []byte
	base    uint64 // address of code[0]
	runtime uint64 // of the runtime's code area
	random  Random
	free    []span // dead bodies, in order
}

// place is a function and the room that its entry has.
type place struct {
	Function
	span
}

func (p *patcher) run(functions []Function) error {
	places := p.places(functions)
	for _, f := range places {
		for i := f.from; i < f.to; i++ {
			p.code[i] = trap
		}
	}
	var small []place
	for _, f := range places {
		b := p.entry(f.Function, p.base+f.from)
		if uint64(len(b)) > f.to-f.from {
			small = append(small, f)
			continue
		}
		copy(p.code[f.from:], b)
		p.free = append(p.free, span{f.from + uint64(len(b)), f.to})
	}
	for _, f := range small {
		if err := p.elsewhere(f); err != nil {
			return err
		}
	}
	return nil
}

// places finds the functions to be patched and the room that each has: its
// bytes and the padding behind them, up to the next function.
func (p *patcher) places(functions []Function) []place {
	var out []place
	for i, f := range functions {
		s := f.Symbols[0]
		limit := uint64(len(p.code))
		if i+1 < len(functions) {
			limit = functions[i+1].Symbols[0].Offset
		}
		to := min(s.Offset+s.Size, limit)
		for to < limit && padding(p.code[to]) {
			to++
		}
		if f.Action != Keep {
			out = append(out, place{f, span{s.Offset, to}})
		}
	}
	return out
}

// elsewhere puts what an entry does into free room, and a jump at the entry.
func (p *patcher) elsewhere(f place) error {
	need := uint64(len(p.entry(f.Function, 0))) // the longest: from 0, all is far
	i := slices.IndexFunc(p.free, func(s span) bool { return s.to-s.from >= need })
	if i < 0 {
		return fmt.Errorf("function %s has %d bytes, and there is no room for %d elsewhere", f.Symbols[0].Name, f.to-f.from, need)
	}
	at := p.free[i].from
	b := jump(p.base+f.from, p.base+at)
	if uint64(len(b)) > f.to-f.from {
		return fmt.Errorf("function %s has %d bytes; a jump needs %d", f.Symbols[0].Name, f.to-f.from, len(b))
	}
	copy(p.code[f.from:], b)
	p.free[i].from += uint64(copy(p.code[at:], p.entry(f.Function, p.base+at)))
	return nil
}

// entry is the code that a function's entry has at an address.
func (p *patcher) entry(f Function, at uint64) []byte {
	name, _ := f.call()
	switch {
	case f.Action == BySyscall && name == "getrandom":
		return randomBySyscall(calls[name])
	case f.Action == BySyscall:
		return bySyscall(calls[name])
	case name == "getrandom" && (p.random.Image == 0 || p.random.Image != p.random.Runtime):
		return randomBySize(at, p.runtime+f.Runtime.Offset, p.random.Runtime, calls[name])
	}
	return jump(at, p.runtime+f.Runtime.Offset)
}
