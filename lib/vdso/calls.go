package vdso

import "strings"

// prefixes that a vDSO's functions have before the name of the system call.
var prefixes = []string{"__vdso_", "__kernel_"}

// call is the system call that does what a function does.
func (f *Function) call() (name string, ok bool) {
	for _, s := range f.Symbols {
		name := s.Name
		for _, p := range prefixes {
			name = strings.TrimPrefix(name, p)
		}
		if _, ok := calls[name]; ok {
			return name, true
		}
	}
	return "", false
}
