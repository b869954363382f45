package vdso

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// here is this process's vDSO.
func here(t testing.TB) VDSO {
	t.Helper()
	v, err := Here()
	if err != nil || v.Image == nil {
		t.Fatalf("%v, %v", v, err)
	}
	return v
}

// moved is a vDSO with its code at an address.
func moved(v VDSO, at uint64) VDSO {
	areas := slices.Clone(v.Areas)
	code, _, _ := Code(areas)
	for i := range areas {
		areas[i].Start += at - code.Start
		areas[i].End += at - code.Start
	}
	return VDSO{areas, v.Image}
}

// far and near are places for a code area: of this process's vDSO a jump of 32
// bits does not reach the one, and does reach the other.
const far = 0x100000000000

func near(t testing.TB) uint64 {
	t.Helper()
	code, _, _ := Code(here(t).Areas)
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	const room = 64 << 20
	var last uint64
	for _, line := range strings.Split(string(maps), "\n") {
		var start, end uint64
		if n, _ := fmt.Sscanf(line, "%x-%x", &start, &end); n != 2 {
			continue
		}
		if start-last > 2*room && start+1<<30 > code.Start {
			return start - room - 16<<20 // away from where the next mapping will be
		}
		last = end
	}
	t.Fatalf("no room near %x:\n%s", code.Start, maps)
	return 0
}

// proxy maps a proxy of a vDSO and tells where its functions are.
func proxy(t testing.TB, image, runtime VDSO, at uint64, random Random) func(name string) uint64 {
	t.Helper()
	b, err := Patch(moved(image, at), runtime, random)
	if err != nil {
		t.Fatal(err)
	}
	mapCode(t, at, b)
	return func(name string) uint64 {
		s := image.Image.Lookup(name)
		if s == nil {
			t.Fatalf("no function %s", name)
		}
		return at + s.Offset
	}
}

// checkCalls calls each function of a proxy and compares what it says with the
// system calls.
func checkCalls(t *testing.T, what string, fn func(string) uint64) {
	t.Helper()
	m := newMemory(t)
	nanos := func() int64 { return int64(le.Uint64(m))*1e9 + int64(le.Uint64(m[8:])) }
	for clock := range int32(12) {
		var a, b unix.Timespec
		aerr := unix.ClockGettime(clock, &a)
		got := call3(fn("clock_gettime"), uintptr(clock), m.at(0), 0)
		berr := unix.ClockGettime(clock, &b)
		if aerr != nil {
			if got != -int64(aerr.(unix.Errno)) {
				t.Errorf("%s: clock_gettime(%d): %d, want %v", what, clock, got, aerr)
			}
			continue
		}
		if berr != nil || got != 0 || nanos() < a.Nano()-int64(time.Second/10) || nanos() > b.Nano()+int64(time.Second/10) {
			t.Errorf("%s: clock_gettime(%d): %d, %d, want %d to %d", what, clock, got, nanos(), a.Nano(), b.Nano())
		}
		var res unix.Timespec
		if err := unix.ClockGetres(clock, &res); err != nil {
			t.Fatal(err)
		}
		if got := call3(fn("clock_getres"), uintptr(clock), m.at(0), 0); got != 0 || nanos() != res.Nano() {
			t.Errorf("%s: clock_getres(%d): %d, %d, want %d", what, clock, got, nanos(), res.Nano())
		}
	}
	for _, name := range []string{"clock_gettime", "clock_getres"} {
		if got := call3(fn(name), 99, m.at(0), 0); got != -int64(unix.EINVAL) {
			t.Errorf("%s: %s of a clock that there is not: %d", what, name, got)
		}
	}
	now := time.Now()
	if got := call3(fn("gettimeofday"), m.at(0), m.at(16), 0); got != 0 || int64(le.Uint64(m))-now.Unix() > 1 || int64(le.Uint64(m)) < now.Unix() {
		t.Errorf("%s: gettimeofday: %d, %d, want %d", what, got, le.Uint64(m), now.Unix())
	}
	if got := call3(fn("time"), m.at(0), 0, 0); got-now.Unix() > 1 || got < now.Unix()-1 || uint64(got) != le.Uint64(m) {
		t.Errorf("%s: time: %d, %d, want %d", what, got, le.Uint64(m), now.Unix())
	}
	copy(m, bytes.Repeat([]byte{0xff}, 8))
	if got := call3(fn("getcpu"), m.at(0), m.at(4), 0); got != 0 || le.Uint32(m) > 4096 || le.Uint32(m[4:]) > 1024 {
		t.Errorf("%s: getcpu: %d, %d, %d", what, got, le.Uint32(m), le.Uint32(m[4:]))
	}
}

// checkRandom calls getrandom with a state of its right size, of another, and
// without any.
func checkRandom(t *testing.T, what string, fn uint64, size uint32) {
	t.Helper()
	seen := map[string]bool{}
	m, state := newMemory(t), newMemory(t)
	for _, size := range []uintptr{uintptr(size), 8, 0} {
		for range 4 {
			clear(m)
			if got := callRandom(fn, m, 32, state, size); got != 32 {
				t.Errorf("%s: getrandom with a state of %d bytes: %d", what, size, got)
			}
			if seen[string(m[:32])] || bytes.Equal(m[:32], make([]byte, 32)) || m[32] != 0 {
				t.Errorf("%s: getrandom with a state of %d bytes says %x", what, size, m[:32])
			}
			seen[string(m[:32])] = true
		}
	}
}

// Every kernel's vDSO runs on this kernel, where it is near and where it is far.
func TestProxyKernels(t *testing.T) {
	runtime := here(t)
	size := RandomState(runtime)
	if size == 0 {
		t.Fatal("this kernel has no getrandom in its vDSO")
	}
	for i, k := range append([]string{"this"}, kernels...) {
		image := runtime
		if i > 0 {
			image = fixture(t, k)
		}
		for _, at := range []uint64{far, near(t)} {
			at += uint64(i) << 20
			fn := proxy(t, image, runtime, at, Random{Image: size + 8, Runtime: size})
			checkCalls(t, k, fn)
			if image.Image.Lookup("getrandom") != nil {
				checkRandom(t, k, fn("getrandom"), size)
			}
		}
	}
}

// On a kernel that has no function at all everything is a system call.
func TestProxyBySyscall(t *testing.T) {
	runtime := here(t)
	nothing := *runtime.Image
	nothing.Symbols = nil
	for i, k := range []string{"5.10", "6.18"} {
		image := fixture(t, k)
		fn := proxy(t, image, VDSO{runtime.Areas, &nothing}, far+uint64(i)<<20, Random{Image: 144})
		checkCalls(t, k, fn)
		if k == "6.18" {
			checkRandom(t, k, fn("getrandom"), 144)
		}
	}
}

// A process that asks a proxy for the size of states is told that there is no
// getrandom, unless both kernels agree.
func TestProxyRandomSize(t *testing.T) {
	runtime := here(t)
	size := RandomState(runtime)
	m := newMemory(t)
	ask := func(fn uint64) int64 { return askSize(fn, m) }
	for i, test := range []struct {
		random Random
		want   int64
	}{{Random{size, size}, 0}, {Random{size + 16, size}, -int64(unix.ENOSYS)}, {Random{0, 0}, -int64(unix.ENOSYS)}, {Random{size, 0}, -int64(unix.ENOSYS)}} {
		fn := proxy(t, runtime, runtime, far+uint64(i)<<20, test.random)
		clear(m)
		if got := ask(fn("getrandom")); got != test.want || got == 0 && le.Uint32(m) != size {
			t.Errorf("%v: %d, %d", test.random, got, le.Uint32(m))
		}
	}
}

// shrunk gives functions of an image smaller sizes, and what follows them no
// room either.
func shrunk(t *testing.T, v VDSO, size uint64, names ...string) VDSO {
	t.Helper()
	b := bytes.Clone(v.Image.code)
	for _, n := range names {
		at := entry(t, b, n)
		off, was := le.Uint64(b[at+8:]), le.Uint64(b[at+16:])
		for i := off + size; i < off+was; i++ {
			b[i] = 0xf4 // neither padding nor anybody's
		}
		le.PutUint64(b[at+16:], size)
	}
	im, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return VDSO{v.Areas, im}
}

func TestProxySmallFunctions(t *testing.T) {
	runtime := here(t)
	names := []string{"time", "__vdso_time", "getcpu", "__vdso_getcpu", "clock_getres", "__vdso_clock_getres"}
	for i, size := range []uint64{14, 13, 6, 5} {
		image := shrunk(t, fixture(t, "6.1"), size, names...)
		checkCalls(t, "small", proxy(t, image, runtime, far+uint64(i)<<20, Random{}))
	}
	_, err := Patch(moved(shrunk(t, fixture(t, "6.1"), 4, names...), far), runtime, Random{})
	if err == nil || !strings.Contains(err.Error(), "has 4 bytes; a jump needs 5") {
		t.Errorf("4 bytes: %v", err)
	}
	all := append(names, "clock_gettime", "__vdso_clock_gettime", "gettimeofday", "__vdso_gettimeofday")
	_, err = Patch(moved(shrunk(t, fixture(t, "5.10"), 6, all...), far), runtime, Random{})
	if err == nil || !strings.Contains(err.Error(), "there is no room for 14 elsewhere") {
		t.Errorf("no room: %v", err)
	}
}

// A proxy differs from the image in its functions only, and holds nothing of
// them that could still run.
func TestPatchTouches(t *testing.T) {
	runtime := here(t)
	for _, k := range kernels {
		image := moved(fixture(t, k), far)
		b, err := Patch(image, runtime, Random{})
		if err != nil {
			t.Fatal(err)
		}
		again, err := Patch(image, runtime, Random{})
		if err != nil || !bytes.Equal(b, again) {
			t.Errorf("%s: made twice, it is not the same: %v", k, err)
		}
		in := make([]bool, len(b))
		for _, f := range Force(image, runtime).Functions {
			s := f.Symbols[0]
			body := b[s.Offset : s.Offset+s.Size]
			if f.Action == Keep {
				if !bytes.Equal(body, image.Image.code[s.Offset:s.Offset+s.Size]) {
					t.Errorf("%s: %s is not kept", k, s.Name)
				}
				continue
			}
			const mostEntry = 64
			for i := range body {
				in[int(s.Offset)+i] = true
				if i >= mostEntry && body[i] != trap {
					t.Errorf("%s: %s has %#x at %#x", k, s.Name, body[i], i)
					break
				}
			}
		}
		for i := range b {
			if c := image.Image.code[i]; b[i] != c && !in[i] && !padding(c) {
				t.Errorf("%s: byte %#x, outside of all functions, is changed", k, i)
				break
			}
		}
		if im, err := Parse(b); err != nil || !slices.Equal(im.Symbols, image.Image.Symbols) {
			t.Errorf("%s: a proxy has other symbols than its image: %v", k, err)
		}
	}
}

func TestPatchRefuses(t *testing.T) {
	v := here(t)
	for _, test := range []struct {
		image, runtime VDSO
		want           string
	}{
		{VDSO{}, v, "vdso: no proxy for it: in place"},
		{v, VDSO{}, "vdso: no proxy for it: impossible: this kernel gives no vDSO"},
		{VDSO{v.Areas[:1], v.Image}, v, "vdso: a proxy needs the areas of code of both vDSOs, whole"},
	} {
		if _, err := Patch(test.image, test.runtime, Random{}); err == nil || err.Error() != test.want {
			t.Errorf("%v, want %s", err, test.want)
		}
	}
}

func BenchmarkClockGettime(b *testing.B) {
	runtime := here(b)
	code, _, _ := Code(runtime.Areas)
	m := newMemory(b)
	for name, fn := range map[string]uint64{
		"native": code.Start + runtime.Image.Lookup("clock_gettime").Offset,
		"near":   proxy(b, runtime, runtime, near(b), Random{})("clock_gettime"),
		"far":    proxy(b, fixture(b, "6.1"), runtime, far, Random{})("clock_gettime"),
	} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				call3(fn, unix.CLOCK_MONOTONIC, m.at(0), 0)
			}
		})
	}
}
