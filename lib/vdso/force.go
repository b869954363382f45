package vdso

// Force is Compare for a proxy, whatever else would do: each function is
// redirected, or makes its system call, also where the vDSOs are the same.
func Force(image, runtime VDSO) Verdict {
	v := Compare(image, runtime)
	if v.Kind != InPlace || image.Image == nil {
		return v
	}
	v = Verdict{Kind: Proxy, Why: "a proxy was asked for", Functions: v.Functions}
	for i := range v.Functions {
		v.decide(image.Image, &v.Functions[i])
	}
	return v
}
