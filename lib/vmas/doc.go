// Package vmas reads the memory maps of frozen tasks into records.
//
// All of it comes from /proc/PID: smaps for the mappings (VmFlags stand nowhere
// else), stat and auxv for the address space, map_files for what is behind a
// mapping, since that leads to the very object whatever its path leads to now.
//
// What smaps costs was measured on Linux 6.18, two cores: 13 us a mapping, which
// is the kernel writing 700 bytes of text; and 30 ms a GiB of present 4 KiB
// pages, which it counts. maps costs a tenth of the former and nothing of the
// latter, but has no VmFlags; nor has PROCMAP_QUERY.
//
// A mapping that restore can't bring back just as it was is an error that names
// the task, the address and what the user can do. Nothing is left out silently.
package vmas
