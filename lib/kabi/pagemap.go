package kabi

// The PAGEMAP_SCAN ioctl (Linux 6.7) and the entries of /proc/PID/pagemap.
// Source: include/uapi/linux/fs.h, Documentation/admin-guide/mm/pagemap.rst.

// PAGEMAP_SCAN is _IOWR('f', 16, struct pm_scan_arg).
const PAGEMAP_SCAN = 0xc0606610

// Categories of a page that PAGEMAP_SCAN selects by and reports.
const (
	PAGE_IS_WPALLOWED  = 1 << 0
	PAGE_IS_WRITTEN    = 1 << 1
	PAGE_IS_FILE       = 1 << 2
	PAGE_IS_PRESENT    = 1 << 3
	PAGE_IS_SWAPPED    = 1 << 4
	PAGE_IS_PFNZERO    = 1 << 5
	PAGE_IS_HUGE       = 1 << 6
	PAGE_IS_SOFT_DIRTY = 1 << 7
	PAGE_IS_GUARD      = 1 << 8 // EINVAL on kernels that lack it
)

// Bits of a /proc/PID/pagemap entry, fs/proc/task_mmu.c.
const (
	PM_UFFD_WP        = 1 << 57
	PM_GUARD_REGION   = 1 << 58 // Linux 6.15
	PM_FILE           = 1 << 61 // page of a file, or of shared anonymous memory
	PM_SWAP           = 1 << 62 // swapped, migrating, or a marker
	PM_PRESENT        = 1 << 63
	PM_MMAP_EXCLUSIVE = 1 << 56
)

// PmScanArg is struct pm_scan_arg, 96 bytes.
type PmScanArg struct {
	Size              uint64 // of this struct
	Flags             uint64
	Start             uint64
	End               uint64
	WalkEnd           uint64 // written by the kernel: where the scan stopped
	Vec               uint64 // address of the PageRegions to fill
	VecLen            uint64
	MaxPages          uint64 // 0: no limit
	CategoryInverted  uint64 // categories that match when they are 0
	CategoryMask      uint64 // all of these have to match
	CategoryAnyofMask uint64 // one of these has to match
	ReturnMask        uint64 // categories to report
}

// PageRegion is struct page_region, 24 bytes.
type PageRegion struct {
	Start      uint64
	End        uint64 // exclusive
	Categories uint64
}
