package vmas

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"floe/lib/procfs"
	"floe/lib/record"
)

func TestRefused(t *testing.T) {
	for _, k := range []struct {
		name         string
		major, minor int // the first Linux that has it
		want         string
	}{
		{"deleted", 0, 0, "/gone has been deleted"},
		{"suffixdeleted", 0, 0, "/gone (deleted) has been deleted"},
		{"replaced", 0, 0, "/lib.so has been deleted (or replaced"},
		{"otherlink", 0, 0, "/one has been deleted or renamed while it has other names"},
		{"memfd", 0, 0, "a memfd (mine)"},
		{"sysv", 0, 0, "System V shared memory"},
		{"secret", 6, 5, "secret memory"},
		{"hugetlb", 0, 0, "run it without huge pages"},
		{"aio", 0, 0, "asynchronous I/O"},
		{"uffd", 0, 0, "registered with userfaultfd"},
		{"uring", 0, 0, "a ring of io_uring"},
		{"packets", 0, 0, "a socket's buffer"},
		{"perf", 0, 0, "a buffer of perf_event_open"},
		{"sysfs", 6, 16, "(sysfs)"},
	} {
		if !atLeast(t, k.major, k.minor) {
			continue
		}
		v := kinds(t, k.name)
		err := collect(t, tree(t, v.pid))
		where := fmt.Sprintf("task %d (kinds): %x-", v.pid, v.addr(t, k.name))
		if err == nil || !strings.Contains(err.Error(), k.want) || !strings.HasPrefix(err.Error(), where) {
			t.Errorf("%s: %v; want %q, %q", k.name, err, where, k.want)
		}
	}
}

// TestHidden maps a file that something is mounted over.
func TestHidden(t *testing.T) {
	v := kinds(t, "private")
	dir, err := os.Readlink("/proc/" + itoa(v.pid) + "/cwd")
	if err != nil {
		t.Fatal(err)
	}
	other, over := filepath.Join(dir, "other"), filepath.Join(dir, "f")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(other, over, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Unmount(over, unix.MNT_DETACH) }()
	err = collect(t, tree(t, v.pid))
	if uerr := unix.Unmount(over, 0); uerr != nil {
		t.Error(uerr)
	}
	if err == nil || !strings.Contains(err.Error(), "/f is hidden by another") {
		t.Errorf("hidden: %v", err)
	}
	if err := collect(t, tree(t, v.pid)); err != nil {
		t.Errorf("not hidden any more: %v", err)
	}
}

func TestDeletedProgram(t *testing.T) {
	path, err := compileKinds()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(t.TempDir(), "own")
	if err := os.WriteFile(own, b, 0o700); err != nil {
		t.Fatal(err)
	}
	v := start(t, exec.Command(own, "none"))
	if err := os.Remove(own); err != nil {
		t.Fatal(err)
	}
	if err := collect(t, tree(t, v.pid)); err == nil || !strings.Contains(err.Error(), "/own has been deleted") {
		t.Errorf("%v", err)
	}
}

func TestRefuseFlags(t *testing.T) {
	for flags, want := range map[string]string{
		"rd wr mr mw me ac sd": "", "rd mr mw me gd lo lf sr rr dc dd wf hg nh mg dp nr gu sl": "",
		"rd io": "", "rd pf de": "", // told with the device's name
		"rd ht": "hugetlbfs", "rd um": "userfaultfd", "rd uw": "userfaultfd", "rd ui": "userfaultfd",
		"rd ss": "shadow stack", "rd sf": "MAP_SYNC", "rd ??": "no name for", "rd zz": `unknown smaps flag "zz" in a mapping of /x`,
	} {
		m := procfs.Mapping{VmFlags: strings.Fields(flags), Name: "/x"}
		if err := refuseFlags(&m); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", flags, err, want)
		}
	}
	m := procfs.Mapping{VmFlags: []string{"ex"}, Exec: true, PKey: 1}
	if err := refuseFlags(&m); err == nil || !strings.Contains(err.Error(), "only be executed") {
		t.Errorf("execute-only: %v", err)
	}
	m.Read = true
	if err := refuseFlags(&m); err == nil || !strings.Contains(err.Error(), "protection key (1)") {
		t.Errorf("protection key: %v", err)
	}
	m = procfs.Mapping{VmFlags: []string{"rd", "pf"}, Name: "/dev/dri/card0"}
	if err := refuseDevice(&m, nil); err == nil || !strings.Contains(err.Error(), "device (/dev/dri/card0)") {
		t.Errorf("device: %v", err)
	}
}

func TestRefuseObject(t *testing.T) {
	for _, test := range []struct {
		path string
		mode uint32
		fs   int64
		link uint64
		want string
	}{
		{"/dev/sda", unix.S_IFBLK, unix.TMPFS_MAGIC, 1, "the device /dev/sda"},
		{"/dev/fb0", unix.S_IFCHR, unix.TMPFS_MAGIC, 1, "the device /dev/fb0"},
		{"/proc/bus/pci/00/00.0", unix.S_IFREG, unix.PROC_SUPER_MAGIC, 1, "(proc)"},
		{"/dev/hugepages/x", unix.S_IFREG, unix.HUGETLBFS_MAGIC, 1, "the hugetlbfs file /dev/hugepages/x"},
		{"/elsewhere (deleted)", unix.S_IFREG, unix.SECRETMEM_MAGIC, 0, "secret memory"},
		{"/dmabuf:", unix.S_IFREG, dmaBufMagic, 0, "a graphics device"},
		{"anon_inode:[new]", unix.S_IFREG, unix.ANON_INODE_FS_MAGIC, 1, "a mapping of anon_inode:[new]"},
		{"/memfd:x (deleted) (deleted)", unix.S_IFREG, unix.TMPFS_MAGIC, 0, "a memfd (x (deleted))"},
		// Files that only look like it.
		{"/memfd:x", unix.S_IFREG, unix.EXT4_SUPER_MAGIC, 1, ""},
		{"/SYSV00000000", unix.S_IFREG, unix.EXT4_SUPER_MAGIC, 1, ""},
		{"/secretmem (deleted)", unix.S_IFREG, unix.EXT4_SUPER_MAGIC, 1, ""},
		{"/dev/shm/x", unix.S_IFREG, unix.TMPFS_MAGIC, 1, ""},
	} {
		o := &object{path: test.path, fs: test.fs, stat: unix.Stat_t{Mode: test.mode, Nlink: test.link}}
		if err := refuseObject(o); (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v; want %q", test.path, err, test.want)
		}
	}
}

func TestSpecial(t *testing.T) {
	const page = 0x1000
	for _, test := range []struct {
		names string // one page each; - is a hole
		want  string
	}{
		{"[vvar] [vvar_vclock] [vdso] /lib", ""},
		{"[vdso]", ""},
		{"/lib [new] [newer] [vdso] [above] /lib", ""},
		{"[vvar] - [vdso]", ""}, // a program has moved them
		{"[new] - [vdso]", "0-1000: [new]"},
		{"[new] /lib [vdso]", "0-1000: [new]"},
		{"[vdso] /lib [new]", "2000-3000: [new]"},
		{"/lib", ""},
	} {
		var list []*record.Vma
		for i, name := range strings.Fields(test.names) {
			if name == "-" {
				continue
			}
			v := &record.Vma{Start: uint64(i) * page, End: uint64(i+1) * page, Name: name}
			if strings.HasPrefix(name, "[") {
				v.Kind = record.Vma_SPECIAL
			}
			list = append(list, v)
		}
		if err := checkSpecial(list); (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v; want %q", test.names, err, test.want)
		}
	}
	if err := refuseSpecial(&procfs.Mapping{Name: "[uprobes]"}); err == nil {
		t.Error("uprobes are taken")
	}
}

func TestIsSpecial(t *testing.T) {
	for name, want := range map[string]bool{
		"[vdso]": true, "[vvar_vclock]": true, "[uprobes]": true, "[heap]": false, "[stack]": false, "[stack:12]": false,
		"[anon:my name]": false, "": false,
	} {
		if got := isSpecial(&procfs.Mapping{Name: name}); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if isSpecial(&procfs.Mapping{Name: "[anon_shmem:x]", Minor: 1, Inode: 7, Shared: true}) {
		t.Error("named shared memory is the kernel's")
	}
}
