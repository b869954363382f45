package shapes

import "golang.org/x/sys/unix"

var protections = words("read", unix.PROT_READ, "write", unix.PROT_WRITE, "exec", unix.PROT_EXEC)

var mapFlags = words("private", unix.MAP_PRIVATE, "shared", unix.MAP_SHARED, "growsdown", unix.MAP_GROWSDOWN,
	"locked", unix.MAP_LOCKED, "noreserve", unix.MAP_NORESERVE, "populate", unix.MAP_POPULATE, "nonblock", unix.MAP_NONBLOCK,
	"stack", unix.MAP_STACK, "droppable", unix.MAP_DROPPABLE)

var advice = words("normal", unix.MADV_NORMAL, "random", unix.MADV_RANDOM, "sequential", unix.MADV_SEQUENTIAL,
	"willneed", unix.MADV_WILLNEED, "dontneed", unix.MADV_DONTNEED, "free", unix.MADV_FREE, "remove", unix.MADV_REMOVE,
	"dontfork", unix.MADV_DONTFORK, "dofork", unix.MADV_DOFORK, "mergeable", unix.MADV_MERGEABLE,
	"unmergeable", unix.MADV_UNMERGEABLE, "hugepage", unix.MADV_HUGEPAGE, "nohugepage", unix.MADV_NOHUGEPAGE,
	"dontdump", unix.MADV_DONTDUMP, "dodump", unix.MADV_DODUMP, "wipeonfork", unix.MADV_WIPEONFORK,
	"keeponfork", unix.MADV_KEEPONFORK, "cold", unix.MADV_COLD, "pageout", unix.MADV_PAGEOUT,
	"populate-read", unix.MADV_POPULATE_READ, "populate-write", unix.MADV_POPULATE_WRITE, "collapse", unix.MADV_COLLAPSE)

var guards = words("install", 102, "remove", 103)
var remapFlags = words("keep", unix.MREMAP_DONTUNMAP)
var hugeAdvice = words("hugepage", unix.MADV_HUGEPAGE, "nohugepage", unix.MADV_NOHUGEPAGE, "normal", unix.MADV_NORMAL)

var lockHow = words("now", 0, "on-fault", unix.MLOCK_ONFAULT)
var lockAll = words("current", unix.MCL_CURRENT, "future", unix.MCL_FUTURE, "both", unix.MCL_CURRENT|unix.MCL_FUTURE,
	"current-on-fault", unix.MCL_CURRENT|unix.MCL_ONFAULT, "future-on-fault", unix.MCL_FUTURE|unix.MCL_ONFAULT)

// The lower half of the arena holds private anonymous memory only. The upper half
// holds all kinds.
var memoryOps = []op{
	{name: "map", group: "memory", weight: 20, adjust: adjustMap,
		args: []arg{page(), pages("pages"), flags("access", protections), flags("flags", mapFlags)}},
	{name: "map_file", group: "memory", weight: 14, adjust: adjustMapFile,
		args: []arg{page(), pages("pages"), flags("access", protections), flags("flags", mapFlags), number("file", 0, files-1), number("offset", 0, 8)}},
	{name: "map_fd", group: "memory", weight: 4, adjust: adjustMapFD,
		args: []arg{page(), pages("pages"), flags("access", protections), flags("flags", mapFlags), fd("fd"), number("offset", 0, 8)}},
	{name: "map_huge", group: "huge", weight: 2, adjust: adjustHuge,
		args: []arg{flags("flags", mapFlags), choice("advice", hugeAdvice), number("page", 0, 1023)}},
	{name: "unmap", group: "memory", weight: 6, args: []arg{page(), pages("pages")}, adjust: adjustRange},
	{name: "protect", group: "memory", weight: 12, adjust: adjustRange,
		args: []arg{page(), pages("pages"), flags("access", protections)}},
	{name: "remap", group: "memory", weight: 5, adjust: adjustRemap,
		args: []arg{page(), pages("pages"), number("to", 0, arenaPages-1), pages("new"), flags("flags", remapFlags)}},
	{name: "resize", group: "memory", weight: 3, args: []arg{page(), pages("pages"), pages("new")}, adjust: adjustResize},
	{name: "advise", group: "memory", weight: 14, adjust: adjustRange,
		args: []arg{page(), pages("pages"), choice("advice", advice)}},
	{name: "guard", group: "guards", weight: 8, adjust: adjustRange,
		args: []arg{page(), pages("pages"), choice("how", guards)}},
	{name: "lock", group: "locked", weight: 8, args: []arg{page(), pages("pages"), choice("how", lockHow)}, adjust: adjustRange},
	{name: "unlock", group: "locked", weight: 3, args: []arg{page(), pages("pages")}, adjust: adjustRange},
	{name: "lock_all", group: "locked", weight: 2, args: []arg{choice("what", lockAll)}},
	{name: "unlock_all", group: "locked", weight: 1},
	{name: "write", group: "memory", weight: 20, args: []arg{page(), pages("pages"), number("seed", 0, 999)}, adjust: adjustRange},
	{name: "read", group: "memory", weight: 4, args: []arg{page(), pages("pages")}, adjust: adjustRange},
	{name: "brk", group: "memory", weight: 3, args: []arg{number("by", -9000, 90000)}},
}
