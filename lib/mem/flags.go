// Package mem knows kinds of memory: what the kernel says of a mapping, and how
// that is brought back.
package mem

import "golang.org/x/sys/unix"

// How says how a VmFlag comes back.
type How uint8

// The ways.
const (
	ByMmap    How = iota // by an argument of mmap(2): protection, flags, descriptor
	ByAdvice             // by madvise(2)
	ByMlock              // by mlock2(2)
	ByMseal              // by mseal(2), after everything else
	ByGuards             // by madvise(MADV_GUARD_INSTALL) of what pagedump found
	ByItself             // the kernel sets it, because of what is restored
	OfDevices            // never: restore can't fill what is no memory
	Refused              // not yet
)

// Names of flags that more is done with than what the table says.
const (
	MayRead   = "mr"
	MayWrite  = "mw"
	MayExec   = "me"
	GrowsDown = "gd"
	NoReserve = "nr"
	Droppable = "dp"
	Locked    = "lo"
	OnFault   = "lf"
	NotDumped = "dd"
	Wiped     = "wf"
	Sealed    = "sl"
	Accounted = "ac"
)

// Flag is one VmFlag of /proc/PID/smaps.
type Flag struct {
	Name   string // two letters
	Means  string // for people; of a refused one, why and what to do
	How    How
	Advice uint64 // ByAdvice: MADV_*
}

// flags are all that Linux has shown up to 7.2: the mnemonics of
// show_smap_vma_flags() in fs/proc/task_mmu.c. A flag that is not here is new,
// and a mapping that has it is refused: nobody knows what would be lost.
var flags = [...]Flag{
	{Name: "rd", Means: "readable", How: ByMmap},
	{Name: "wr", Means: "writable", How: ByMmap},
	{Name: "ex", Means: "executable", How: ByMmap},
	{Name: "sh", Means: "shared", How: ByMmap},
	{Name: MayRead, Means: "may be made readable", How: ByMmap}, // by how the descriptor was opened, and by the mount
	{Name: MayWrite, Means: "may be made writable", How: ByMmap},
	{Name: MayExec, Means: "may be made executable", How: ByMmap},
	{Name: "ms", Means: "may be shared", How: ByMmap},
	{Name: GrowsDown, Means: "grows down", How: ByMmap},
	{Name: NoReserve, Means: "no reserve", How: ByMmap},
	{Name: Droppable, Means: "droppable", How: ByMmap}, // Linux 6.11
	{Name: Locked, Means: "locked", How: ByMlock},
	{Name: OnFault, Means: "locked when touched", How: ByMlock}, // named since Linux 6.2
	{Name: "dc", Means: "not forked", How: ByAdvice, Advice: unix.MADV_DONTFORK},
	{Name: NotDumped, Means: "not dumped", How: ByAdvice, Advice: unix.MADV_DONTDUMP},
	{Name: "hg", Means: "huge pages", How: ByAdvice, Advice: unix.MADV_HUGEPAGE},
	{Name: "mg", Means: "mergeable", How: ByAdvice, Advice: unix.MADV_MERGEABLE},
	{Name: "nh", Means: "no huge pages", How: ByAdvice, Advice: unix.MADV_NOHUGEPAGE},
	{Name: "rr", Means: "read at random", How: ByAdvice, Advice: unix.MADV_RANDOM},
	{Name: "sr", Means: "read in sequence", How: ByAdvice, Advice: unix.MADV_SEQUENTIAL},
	{Name: Wiped, Means: "wiped by fork", How: ByAdvice, Advice: unix.MADV_WIPEONFORK},
	{Name: Sealed, Means: "sealed", How: ByMseal},              // Linux 6.10
	{Name: "gu", Means: "may have guards", How: ByGuards},      // Linux 7.0; it stays when the last guard has gone
	{Name: Accounted, Means: "accounted", How: ByItself},       // was writable and private once
	{Name: "sd", Means: "soft-dirty", How: ByItself},           // since somebody has cleared it for all of the process
	{Name: "de", Means: "can't grow by mremap", How: ByItself}, // by what is mapped, as are the next two
	{Name: "mm", Means: "mixed pages", How: ByItself},
	{Name: "dw", Means: "not written while it runs", How: ByItself}, // before Linux 5.15
	{Name: "io", Means: "memory of a device", How: OfDevices},
	{Name: "pf", Means: "memory of a device", How: OfDevices},
	{Name: "ar", Means: "memory of a device", How: OfDevices},
	{Name: "ht", How: Refused, Means: "a hugetlbfs mapping can't be saved yet; run it without huge pages"},
	{Name: "um", How: Refused, Means: "memory registered with userfaultfd can't be saved yet; wait until what uses that has ended (post-copy migration, a garbage collection)"},
	{Name: "uw", How: Refused, Means: "memory write-protected with userfaultfd can't be saved yet; wait until what uses that has ended (a snapshot)"},
	{Name: "ui", How: Refused, Means: "memory registered with userfaultfd for minor faults can't be saved yet; wait until what uses that has ended"},
	{Name: "ss", How: Refused, Means: "a shadow stack can't be saved yet; run it with GLIBC_TUNABLES=glibc.cpu.x86_shstk=off"},
	{Name: "sf", How: Refused, Means: "a synchronous mapping of persistent memory (MAP_SYNC) can't be saved yet; run it without"},
	{Name: "bt", How: Refused, Means: "memory with branch targets (PROT_BTI) can't be saved yet; run it without"},
	{Name: "mt", How: Refused, Means: "memory with tags (PROT_MTE) can't be saved yet; run it without"},
	{Name: "??", How: Refused, Means: "it has a flag that this kernel has no name for (locked on fault, before Linux 6.2), so it can't be saved"},
}

// byName has the flags by their two letters.
var byName = func() map[string]*Flag {
	m := make(map[string]*Flag, len(flags))
	for i := range flags {
		m[flags[i].Name] = &flags[i]
	}
	return m
}()

// Lookup finds a flag; nil: this version does not know it.
func Lookup(name string) *Flag { return byName[name] }

// Advices gives the flags that madvise(2) sets, in the order of their calls.
func Advices(yield func(*Flag) bool) {
	for i := range flags {
		if flags[i].How == ByAdvice && !yield(&flags[i]) {
			return
		}
	}
}

// Restores tells whether a mapping with this flag can be brought back.
func (f *Flag) Restores() bool { return f != nil && f.How < OfDevices }

// Shown tells whether a program sees the flag, and nothing else shows it.
func (f *Flag) Shown() bool {
	switch f.Name {
	case GrowsDown, NoReserve, Droppable:
		return true
	}
	return f.How == ByAdvice || f.How == ByMlock || f.How == ByMseal
}
