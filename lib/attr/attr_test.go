package attr

import (
	"strings"
	"testing"

	"floe/lib/record"
)

// TestTable: every attribute has a name and both of its halves.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range table {
		if a.Name == "" || seen[a.Name] {
			t.Errorf("%q: no name, or twice", a.Name)
		}
		seen[a.Name] = true
		if (a.Process.Ask == nil) != (a.Process.Answer == nil) || (a.Thread.Ask == nil) != (a.Thread.Answer == nil) {
			t.Errorf("%s: asked and not answered", a.Name)
		}
		if (a.Thread.Ask == nil) != (a.Thread.Alike == nil) {
			t.Errorf("%s: without Alike every thread of every process is visited twice", a.Name)
		}
	}
}

// TestOwn: what this process is found to have is what a kernel can have.
func TestOwn(t *testing.T) {
	process, thread, status, err := Own()
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckProcess(process); err != nil {
		t.Error(err)
	}
	if err := CheckThread(thread); err != nil {
		t.Error(err)
	}
	h := &Here{Process: process, Thread: thread, Status: status, Tasks: []*record.Task{process}, Threads: func(int32) *record.Thread { return thread }}
	// A tree like this process takes no call.
	if calls := append(h.Set(process), h.SetThread(thread)...); len(calls) > 0 {
		t.Errorf("%v", calls)
	}
}

// TestCheck: numbers that no kernel has are refused.
func TestCheck(t *testing.T) {
	for say, a := range map[string]record.ProcessAttrs{
		"coredump_filter: 0x200":        {CoredumpFilter: 1 << 9},
		"PR_GET_THP_DISABLE 0x2":        {ThpDisable: 2},
		"PR_GET_MDWE 0x2":               {Mdwe: 2},
		"registrations 0x1":             {Membarrier: 1},
		"3 slots":                       {FutexSlots: 3},
		"nice 20: there is no":          {AutogroupNice: 20},
		"\"cpu\": there is no such":     {Cgroups: []byte("cpu")},
		"\"cpu:x\\n\": there is no":     {Cgroups: []byte("cpu:x\n")},
		"\":/a\\x00b\": there is no su": {Cgroups: []byte(":/a\x00b")},
	} {
		if err := CheckProcess(&record.Task{Attrs: &a}); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%q: %v", say, err)
		}
	}
	for say, a := range map[string]record.ThreadAttrs{
		"0xffffffff: there is no such personality": {Personality: 1<<32 - 1},
		"3: there is no such policy":               {MachineCheck: 3},
		"0x7 is not known":                         {MemoryPolicy: 7},
		"129 bytes of nodes":                       {MemoryNodes: make([]byte, 129)},
		"4 kinds":                                  {Speculation: make([]uint32, 4)},
		"PR_GET_SPECULATION_CTRL 0x20":             {Speculation: []uint32{1 << 5}},
		"default 1 of request_key":                 {RequestKey: 1},
	} {
		if err := CheckThread(&record.Thread{Attrs: &a}); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%q: %v", say, err)
		}
	}
}

// TestCgroupMounts: where groups are, in containers too.
func TestCgroupMounts(t *testing.T) {
	mounts := parseCgroupMounts(`30 23 0:26 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro,mode=755
31 30 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw
33 30 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:15 - cgroup cgroup rw,cpu,cpuacct
34 30 0:31 /docker/12ab /sys/fs/cgroup/mem\040ory rw - cgroup cgroup rw,memory
35 30 0:32 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
`)
	for in, want := range map[string]string{
		":/":                       "/sys/fs/cgroup/unified/",
		":/a/b":                    "/sys/fs/cgroup/unified/a/b",
		":/../b":                   "",
		"cpu,cpuacct:/a":           "/sys/fs/cgroup/cpu,cpuacct/a",
		"cpu:/a":                   "/sys/fs/cgroup/cpu,cpuacct/a",
		"memory:/docker/12ab/x":    "/sys/fs/cgroup/mem ory/x",
		"memory:/docker/12abc":     "",
		"memory:/x":                "",
		"name=systemd:/init.scope": "/sys/fs/cgroup/systemd/init.scope",
		"freezer:/":                "",
	} {
		key, path, _ := strings.Cut(in, ":")
		got := ""
		for _, m := range mounts {
			if dir, ok := m.dir(key, path); ok {
				got = dir
			}
		}
		if got != want {
			t.Errorf("%s: %q, not %q", in, got, want)
		}
	}
}
