package plan

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

const at = 0x7f0000000000

// vma is four pages, number n of an address space.
func vma(n uint64, kind record.Vma_Kind, prot uint32, flags string) *record.Vma {
	v := &record.Vma{MmId: 1, Start: at + n<<16, End: at + n<<16 + 4*pageSize, Kind: kind, Prot: prot, Flags: strings.Fields(flags)}
	switch kind {
	case record.Vma_FILE_PRIVATE, record.Vma_FILE_SHARED:
		v.FileId = 5
	case record.Vma_ANON_SHARED:
		v.ShmemId = 6
	}
	return v
}

// lines shows calls as number(arguments), addresses as those of vma.
func lines(calls iter.Seq[stub.Call]) []string {
	names := map[uint64]string{unix.SYS_MMAP: "mmap", unix.SYS_MADVISE: "madvise", unix.SYS_MPROTECT: "mprotect", unix.SYS_MLOCK: "mlock",
		unix.SYS_MLOCK2: "mlock2", unix.SYS_MUNMAP: "munmap", unix.SYS_PRCTL: "prctl", unix.SYS_ARCH_PRCTL: "arch_prctl"}
	var list []string
	for c := range calls {
		var args []string
		for _, a := range c.Args {
			switch {
			case a.Kind == stub.Data:
				args = append(args, fmt.Sprintf("%q", a.Bytes))
			case a.Val >= at && a.Val < at+1<<24:
				args = append(args, fmt.Sprintf("@%d+%d", (a.Val-at)>>16, a.Val&0xffff/pageSize))
			default:
				args = append(args, fmt.Sprintf("%x", int64(a.Val)))
			}
		}
		s := fmt.Sprintf("%s(%s)", names[c.Nr], strings.Join(args, " "))
		if c.Excused != 0 {
			s += " or " + c.Excused.Error()
		}
		list = append(list, s)
	}
	return list
}

// none are no guard regions.
func none(func(uint64, uint64) bool) {}

func some(spans ...Span) iter.Seq2[uint64, uint64] {
	return func(yield func(uint64, uint64) bool) {
		for _, s := range spans {
			if !yield(s.Start, s.End) {
				return
			}
		}
	}
}

const rw = unix.PROT_READ | unix.PROT_WRITE

func TestMemory(t *testing.T) {
	const private, shared = record.Vma_ANON_PRIVATE, record.Vma_ANON_SHARED
	const anon = "100022 -1 0"
	named := vma(0, private, rw, "rd wr ac")
	named.Name = "[anon:it]"
	for _, c := range []struct {
		name          string
		vma           *record.Vma
		guards        []Span
		before, after string
	}{
		{"plain", vma(0, private, rw, "rd wr mr mw me ac"), nil, "mmap(@0+0 4000 3 " + anon + ")", ""},
		{"with a name", named, nil, "mmap(@0+0 4000 3 " + anon + `) prctl(53564d41 0 @0+0 4000 "it\x00")`, ""},
		{"grows, without swap space", vma(0, private, rw, "gd nr"), nil, "mmap(@0+0 4000 3 104122 -1 0)", ""},
		{"advised", vma(0, private, rw, "sr dc dd hg"), nil,
			"mmap(@0+0 4000 3 " + anon + ") madvise(@0+0 4000 a) madvise(@0+0 4000 10) madvise(@0+0 4000 e) madvise(@0+0 4000 2)", ""},
		{"read only by now", vma(0, private, unix.PROT_READ, "rd ac"), nil, "mmap(@0+0 4000 3 " + anon + ")", "mprotect(@0+0 4000 1)"},
		{"never written", vma(0, private, unix.PROT_READ, "rd"), nil, "mmap(@0+0 4000 1 " + anon + ")", ""},
		{"shared", vma(0, shared, unix.PROT_READ, "rd sh"), nil, "mmap(@0+0 4000 1 100001 0 0)", ""},
		{"locked", vma(0, private, rw, "rd wr lo ac"), nil, "mmap(@0+0 4000 3 " + anon + ")", "mlock(@0+0 4000) or cannot allocate memory"},
		{"locked on fault", vma(0, private, rw, "rd wr lo lf ac"), nil, "mmap(@0+0 4000 3 " + anon + ")", "mlock2(@0+0 4000 1) or cannot allocate memory"},
		{"locked, with guards, no access", vma(0, private, 0, "lo ac"), []Span{{at, at + pageSize}, {at + 2*pageSize, at + 4*pageSize}},
			"mmap(@0+0 4000 3 " + anon + ")",
			"madvise(@0+0 1000 66) madvise(@0+2 2000 66) mprotect(@0+0 4000 0) mlock(@0+0 4000) or cannot allocate memory"},
		{"droppable", vma(0, private, rw, "wf dd dp"), nil, "mmap(@0+0 4000 3 100028 -1 0) madvise(@0+0 4000 10) madvise(@0+0 4000 12)", ""},
		{"the kernel's", vma(0, record.Vma_SPECIAL, rw, "lo"), nil, "", ""},
	} {
		as, err := Memory(&record.Mm{}, []*record.Vma{c.vma}, Target{Arena: Span{1 << 20, 2 << 20}, Droppable: true, FDs: AnyFDs{}})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		before := lines(as.Before())
		if len(before) < 3 || before[0] != "munmap(0 100000)" || before[1] != fmt.Sprintf("munmap(200000 %x)", UserCeiling-2<<20) || !strings.HasPrefix(before[len(before)-1], "prctl(23 e") {
			t.Fatalf("%s: begins and ends with %q", c.name, before)
		}
		if got := strings.Join(before[2:len(before)-1], " "); got != c.before {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.before)
		}
		if got := strings.Join(lines(as.After(some(c.guards...))), " "); got != c.after {
			t.Errorf("%s: after the contents\ngot  %s\nwant %s", c.name, got, c.after)
		}
	}
}

// TestWithoutDroppable: where the kernel has no such memory, other memory stands
// for it, that is wiped and left out in the same way.
func TestWithoutDroppable(t *testing.T) {
	as, err := Memory(&record.Mm{}, []*record.Vma{vma(0, record.Vma_ANON_PRIVATE, rw, "dp nr")}, Target{FDs: AnyFDs{}})
	if err != nil {
		t.Fatal(err)
	}
	got := lines(as.Before())
	want := []string{"mmap(@0+0 4000 3 104022 -1 0)", "madvise(@0+0 4000 10)", "madvise(@0+0 4000 12)"}
	if !slices.Equal(got[2:len(got)-1], want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestOrder: guard regions come before all protections, and these before all
// locks, whichever mapping they belong to.
func TestOrder(t *testing.T) {
	vmas := []*record.Vma{
		vma(0, record.Vma_ANON_PRIVATE, rw, "lo ac"), vma(1, record.Vma_ANON_PRIVATE, 0, "lo ac"),
		vma(2, record.Vma_FILE_SHARED, rw, "lo sh"), vma(3, record.Vma_ANON_PRIVATE, rw, "ac"),
	}
	own := VDSO{Own: []Region{{Span: Span{at + 9<<16, at + 9<<16 + pageSize}, Prot: unix.PROT_READ, Filled: true, Name: "floe"}}}
	as, err := Memory(&record.Mm{}, vmas, Target{FDs: AnyFDs{}, VDSO: own})
	if err != nil {
		t.Fatal(err)
	}
	got := lines(as.After(some(Span{at, at + pageSize}, Span{at + 3<<16, at + 3<<16 + pageSize})))
	want := []string{"madvise(@0+0 1000 66)", "madvise(@3+0 1000 66)", "mprotect(@1+0 4000 0)", "mprotect(@9+0 1000 1)",
		"mlock(@0+0 4000) or cannot allocate memory", "mlock(@1+0 4000) or cannot allocate memory", "mlock(@2+0 4000) or cannot allocate memory"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	// Whoever wants no more gets no more.
	for _, calls := range []iter.Seq[stub.Call]{as.Before(), as.After(some(Span{at, at + pageSize}))} {
		for n := range len(lines(calls)) {
			taken := 0
			for range calls {
				if taken++; taken > n {
					break
				}
			}
		}
	}
}

// missing has no descriptors.
type missing struct{ AnyFDs }

func (missing) Shmem(id uint64) (int, error) { return 0, fmt.Errorf("no object %d", id) }

func TestMemoryRefuses(t *testing.T) {
	for _, c := range []struct {
		vma  *record.Vma
		fds  FDs
		want string
	}{
		{vma(0, 77, rw, ""), AnyFDs{}, "7f0000000000-7f0000004000 : mappings of kind 77 can't be restored by this version"},
		{vma(0, record.Vma_ANON_SHARED, rw, ""), missing{}, "7f0000000000-7f0000004000 : no object 6"},
	} {
		if _, err := Memory(&record.Mm{}, []*record.Vma{c.vma}, Target{FDs: c.fds}); err == nil || err.Error() != c.want {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
}

func TestLocked(t *testing.T) {
	const large = 1 << 20
	shared := func(size uint64) *record.Vma {
		v := vma(9, record.Vma_ANON_SHARED, unix.PROT_READ, "lo")
		v.ShmemSize = size
		return v
	}
	objects := map[uint64]bool{}
	var all uint64
	for _, c := range []struct {
		name              string
		vma               *record.Vma
		locked, populated uint64
	}{
		{"private", vma(0, record.Vma_ANON_PRIVATE, rw, "lo ac"), 4 * pageSize, 4 * pageSize},
		{"filled as it is used", vma(1, record.Vma_ANON_PRIVATE, rw, "lo lf ac"), 4 * pageSize, 0},
		{"to read: pages of zeros", vma(2, record.Vma_ANON_PRIVATE, unix.PROT_READ, "lo ac"), 4 * pageSize, 32},
		{"no access", vma(3, record.Vma_ANON_PRIVATE, 0, "lo"), 4 * pageSize, 0},
		{"what the file has", vma(4, record.Vma_FILE_SHARED, rw, "lo"), 4 * pageSize, 32},
		{"copies of what the file has", vma(5, record.Vma_FILE_PRIVATE, rw, "lo"), 4 * pageSize, 4 * pageSize},
		{"not locked", vma(6, record.Vma_ANON_PRIVATE, rw, "ac"), 0, 0},
		{"the kernel's", vma(7, record.Vma_SPECIAL, rw, "lo"), 0, 0},
		{"droppable", vma(8, record.Vma_ANON_PRIVATE, rw, "lo dp"), 0, 0},
		{"an object", shared(large), 4 * pageSize, large},
		{"the same object", shared(large), 4 * pageSize, 32},
	} {
		vmas := []*record.Vma{c.vma}
		if got := Locked(vmas); got != c.locked {
			t.Errorf("%s: %d bytes are locked, want %d", c.name, got, c.locked)
		}
		got := Populated(vmas, objects)
		if all += got; got != c.populated {
			t.Errorf("%s: its lock fills %d bytes, want %d", c.name, got, c.populated)
		}
	}
	if all != 2*4*pageSize+large+3*32 {
		t.Errorf("all locks fill %d bytes", all)
	}
}

func TestMappings(t *testing.T) {
	if n := Mappings([]*record.Vma{vma(0, record.Vma_SPECIAL, rw, ""), vma(1, record.Vma_VSYSCALL, rw, "")}); n != 1 {
		t.Errorf("%d mappings", n)
	}
}

// crowd is an address space with very many mappings, each with four pieces of
// advice and a name.
func crowd(n int) []*record.Vma {
	list := make([]*record.Vma, n)
	for i := range list {
		list[i] = vma(uint64(i), record.Vma_ANON_PRIVATE, unix.PROT_READ, "rd mr mw me sr lo ac dc dd hg")
		list[i].Name = fmt.Sprintf("[anon:number %d]", i)
	}
	return list
}

// through has calls encoded as restore does it; it returns how many there are.
func through(t testing.TB, table *stub.Table, calls iter.Seq[stub.Call]) int {
	n := 0
	for c := range calls {
		n++
		fits, err := table.Add(&c)
		if err == nil && !fits {
			_ = table.Bytes()
			table.Reset(n, nil)
			_, err = table.Add(&c)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// TestCallsAsUsed: a call takes no memory once it has been used, but for the
// sixteen bytes by which an error would know a guard region.
func TestCallsAsUsed(t *testing.T) {
	const regions = 50000
	vmas := crowd(20000)
	guards := func(yield func(uint64, uint64) bool) {
		for i := range uint64(regions) {
			if !yield(at+i*2*pageSize, at+(i*2+1)*pageSize) {
				return
			}
		}
	}
	table := stub.NewTable(0, 256<<10)
	calls := 0
	plan := func() {
		as, err := Memory(&record.Mm{}, vmas, Target{FDs: AnyFDs{}})
		if err != nil {
			t.Fatal(err)
		}
		table.Reset(0, nil)
		calls = through(t, table, as.Before()) + through(t, table, as.After(guards))
	}
	plan()
	const want = 3 + 20000*(1+4+1+2) + regions
	if calls != want {
		t.Errorf("%d calls, want %d", calls, want)
	}
	if n := testing.AllocsPerRun(1, plan); n > regions+100 {
		t.Errorf("%v allocations for %d calls", n, calls)
	}
}

func BenchmarkMemory(b *testing.B) {
	for _, n := range []int{30, 60000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			vmas, table := crowd(n), stub.NewTable(0, 256<<10)
			b.ReportAllocs()
			for b.Loop() {
				as, err := Memory(&record.Mm{}, vmas, Target{FDs: AnyFDs{}})
				if err != nil {
					b.Fatal(err)
				}
				table.Reset(0, nil)
				through(b, table, as.Before())
				through(b, table, as.After(none))
			}
		})
	}
}
