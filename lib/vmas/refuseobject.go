package vmas

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Filesystems that x/sys has no number for: include/uapi/linux/magic.h, and
// fs/aio.c.
const (
	aioRingMagic = 0xa10a10a1
	dmaBufMagic  = 0x444d4142
)

// reports are filesystems whose files are the kernel's own reports and
// controls: what a mapping of one shows is nothing that can be restored.
var reports = map[int64]string{
	unix.PROC_SUPER_MAGIC: "proc", unix.SYSFS_MAGIC: "sysfs", unix.DEBUGFS_MAGIC: "debugfs", unix.TRACEFS_MAGIC: "tracefs",
	unix.CGROUP_SUPER_MAGIC: "cgroup", unix.CGROUP2_SUPER_MAGIC: "cgroup2", unix.SECURITYFS_MAGIC: "securityfs",
	unix.SELINUX_MAGIC: "selinuxfs", unix.BPF_FS_MAGIC: "bpf", unix.RDTGROUP_SUPER_MAGIC: "resctrl",
	unix.EFIVARFS_MAGIC: "efivarfs", unix.PSTOREFS_MAGIC: "pstore", unix.BINDERFS_SUPER_MAGIC: "binder",
}

// anonymous are files of the kernel's own that system calls make, by the
// beginning of their paths, and what people know them as.
var anonymous = []struct{ prefix, what string }{
	{"/SYSV", "System V shared memory"},
	{"/[aio]", "a ring of asynchronous I/O (io_setup)"},
	{"/secretmem", "secret memory (memfd_secret)"},
	{"/anon_hugepage", "huge pages of hugetlbfs"},
	{"anon_inode:[io_uring]", "a ring of io_uring"},
	{"anon_inode:[perf_event]", "a buffer of perf_event_open"},
	{"anon_inode:[userfaultfd]", "a userfaultfd"},
	{"anon_inode:bpf", "a BPF map"},
	{"anon_inode:kvm", "a virtual machine's state (KVM)"},
	{"socket:", "a socket's buffer (a packet ring, or TCP's zero copy)"},
	{"/dmabuf:", "a buffer of a graphics device"},
}

// refuseObject tells why an object that isn't shared anonymous memory can't be
// mapped again.
func refuseObject(o *object) error {
	if name, ok := strings.CutPrefix(o.path, "/memfd:"); ok && o.stat.Nlink == 0 {
		return fmt.Errorf("a memfd (%s) can't be saved yet", strings.TrimSuffix(name, deletedSuffix))
	}
	for _, a := range anonymous {
		if strings.HasPrefix(o.path, a.prefix) && (o.stat.Nlink == 0 || o.path[0] != '/') {
			return fmt.Errorf("%s can't be saved yet", a.what)
		}
	}
	switch o.fs {
	case aioRingMagic:
		return fmt.Errorf("a ring of asynchronous I/O (io_setup) can't be saved yet")
	case unix.SECRETMEM_MAGIC:
		return fmt.Errorf("secret memory (memfd_secret) can't be saved yet")
	case unix.HUGETLBFS_MAGIC:
		return fmt.Errorf("the hugetlbfs file %s can't be saved yet; run it without huge pages", o.path)
	case dmaBufMagic:
		return fmt.Errorf("a buffer of a graphics device can't be saved yet")
	}
	if what := reports[o.fs]; what != "" {
		return fmt.Errorf("a mapping of %s, a file of the kernel's own (%s), can't be saved yet", o.path, what)
	}
	switch mode := o.stat.Mode & unix.S_IFMT; {
	case mode == unix.S_IFCHR || mode == unix.S_IFBLK:
		return fmt.Errorf("a mapping of the device %s can't be saved yet", o.path)
	case mode != unix.S_IFREG || !strings.HasPrefix(o.path, "/"):
		return fmt.Errorf("a mapping of %s can't be saved yet", o.path)
	}
	return nil
}
