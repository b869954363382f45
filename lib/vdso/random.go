package vdso

// RandomState is the size of the states that this kernel's getrandom works on,
// bytes, 0 without one: see Random. It is no part of what the symbols tell, so
// the function itself is asked.
func RandomState(here VDSO) uint32 {
	code, ok, err := Code(here.Areas)
	if !ok || err != nil || here.Image == nil {
		return 0
	}
	s := here.Image.Lookup("__vdso_getrandom")
	if s == nil || s.Type != STTFunc {
		return 0
	}
	return askRandom(code.Start + s.Offset)
}
