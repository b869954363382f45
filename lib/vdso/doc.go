// Package vdso knows the virtual shared object that the kernel maps into every
// process: its areas, its symbols, and whether one kernel's can stand for
// another's.
//
// Nothing here knows a layout by heart. A vDSO is one area of code, an ELF
// image, and any number of neighbours with names and sizes, the kernel's data:
//
//	5.10, 6.1, 6.12           [vvar] 4 pages                         [vdso] 2 pages
//	since 6.13                [vvar] 4 pages  [vvar_vclock] 2 pages  [vdso] 2 pages
//
// The code finds the data by its distance from itself, so order, sizes and gaps
// belong to what a vDSO is, as do the build-id and every symbol's offset.
//
// Where this kernel's vDSO does not fit in the image's place, Patch makes a proxy:
// the image's code, where it was, with every function led to this kernel's. What
// a process with one looks like:
//
//	where the image had it      redirected code, r-x; the data areas' room, kept
//	                            free, which nothing reads
//	anywhere                    this kernel's areas, and right behind them the mark
//
// The mark has the image's pristine bytes and says what is where. FindProxy finds
// it again, and believes it only if it would have made the same itself. What it
// finds is saved as the image's vDSO, as if the process still had it: so there is
// one original in every image, however often a process moves.
//
// An image's bytes come from anywhere. All that the parser reads, it checks
// first: an error names what is wrong, and where.
package vdso
