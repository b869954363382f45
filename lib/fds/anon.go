package fds

import (
	"strings"

	"golang.org/x/sys/unix"
)

// isAnon tells whether a descriptor's name is one that the kernel made up:
// "pipe:[12]", "socket:[12]", "anon_inode:[eventfd]", "net:[4026531833]".
func isAnon(link string) bool { return !strings.HasPrefix(link, "/") }

// anonName is the name of an anonymous inode: "eventfd" for both
// "anon_inode:[eventfd]" and "anon_inode:eventfd"; empty for anything else.
func anonName(link string) string {
	name, ok := strings.CutPrefix(link, "anon_inode:")
	if !ok {
		return ""
	}
	return strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
}

// unsupported takes what nothing else took, to refuse it by name.
type unsupported struct{}

func (unsupported) takes(*desc) bool { return true }

// anonNames are the kernel's names of what has no kind yet.
var anonNames = map[string]string{
	"inotify":          "an inotify instance",
	"fanotify":         "a fanotify group",
	"io_uring":         "an io_uring",
	"userfaultfd":      "a userfaultfd",
	"perf_event":       "a perf event",
	"bpf-map":          "a BPF map",
	"bpf-prog":         "a BPF program",
	"bpf_link":         "a BPF link",
	"seccomp notify":   "a seccomp listener",
	"secretmem":        "a memfd_secret",
	"landlock-ruleset": "a landlock ruleset",
	"fscontext":        "a filesystem context (fsopen)",
	"kvm-vm":           "a KVM virtual machine",
	"dma-buf":          "a DMA buffer",
	"sync_file":        "a DMA fence",
}

func (unsupported) save(_ *collector, d *desc) error {
	if d.info.flags&unix.O_PATH != 0 {
		return d.refuse("", "an O_PATH handle of %s", d.link)
	}
	if name := anonName(d.link); name != "" {
		if what, ok := anonNames[name]; ok {
			return d.refuse("", "%s", what)
		}
		return d.refuse("", "an anonymous inode of sort %q", name)
	}
	if isAnon(d.link) {
		if sort, _, ok := strings.Cut(d.link, ":["); ok {
			return d.refuse("", "a namespace (%s)", sort)
		}
		return d.refuse("", "%q, which can't be reached by name,", d.link)
	}
	return d.refuse("", "%s (%s)", formatName(d.stat.Mode), d.link)
}
