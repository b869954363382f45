package procfs

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// captured is one mapping of capture.c's process, as the test writes it:
// "permissions name", and the flags that smaps has besides those that follow
// from the permissions.
type captured struct{ text, flags string }

// program is what the process has mapped at low addresses.
func program(kernel string) []captured {
	exec := kernels[kernel].exec
	list := []captured{
		{"r--p " + exec, ""}, {"r-xp " + exec, ""}, {"r--p " + exec, ""}, {"r--p " + exec, "ac"}, {"rw-p " + exec, "ac"},
		{"rw-p", "ac"}, {"rw-p [heap]", "ac"},
	}
	for i := range list[:5] {
		if kernel == "5.10" { // VM_DENYWRITE, gone since 5.15
			list[i].flags += " dw"
		}
	}
	return list
}

// mapped is what capture.c maps, from the last to the first.
func mapped(kernel string) []captured {
	k := kernels[kernel]
	when := func(yes bool, flag string) string {
		if yes {
			return " " + flag
		}
		return ""
	}
	list := []captured{{"rw-p", "ac" + when(k.sealed, "sl")}}
	if k.droppable {
		list = append(list, captured{"rw-p", "nr wf dd dp"})
	}
	return append(list,
		captured{"--xp", ""},
		captured{"rw-p", "nr"},
		captured{"rw-p", "gd ac"},
		captured{"rw-p", "ac" + when(k.guard, "gu")},
		captured{"rw-p", "ac mg"},
		captured{"rw-p", "ac nh"},
		captured{"rw-p", "ac wf"},
		captured{"rw-p", "ac dd"},
		captured{"rw-p", "dc ac"},
		captured{"rw-p", "lo ac " + k.onFault},
		captured{"rw-p", "lo ac"},
		captured{"rw-s /SYSV00000000 (deleted)", "ms"},
		captured{"rw-s /memfd:mine (deleted) (deleted)", "ms"},
		captured{"rw-s /dev/zero (deleted)", "ms"}, // shared anonymous memory
		captured{"rw-p", "ac"},
		captured{"rw-s /dev/zero (deleted)", "ms"},
		captured{"rw-p /dev/zero", "ac"},
		captured{"r--s /tmp/victim/kept (deleted)", "ms -mw -sh"}, // by a descriptor that can't write
		captured{"r--p /tmp/victim/gone (deleted) (deleted)", ""},
		captured{"r--p /tmp/victim/gone (deleted)", ""},
		captured{"r--p /tmp/victim/kept (deleted)", ""},
		captured{"r--p /tmp/victim/  sp ace ", ""},
		captured{"r--p /tmp/victim/back\nslash", ""}, // really back\012slash: /proc does not tell
		captured{"r--p /tmp/victim/new\nline", ""},
	)
}

// special is the kernel's own areas, and the stack.
func special(kernel string) (list []captured) {
	for _, name := range kernels[kernel].special {
		c := map[string]captured{
			"[stack]": {"rw-p [stack]", "gd ac -sd"}, "[vvar]": {"r--p [vvar]", "pf io de dd -mw -me"},
			"[vvar_vclock]": {"r--p [vvar_vclock]", "pf io de dd -mw -me"}, "[vdso]": {"r-xp [vdso]", "de"},
			"[vsyscall]": {"--xp [vsyscall]", "-mr -mw -me"},
		}[name]
		if kernel == "7.2" && name == "[vvar]" {
			c.flags = "io de dd mm -mw -me"
		}
		list = append(list, c)
	}
	return list
}

// wantFlags are a mapping's VmFlags, sorted.
func (c captured) wantFlags(softDirty bool) []string {
	list := []string{"mr", "mw", "me"}
	for i, flag := range []string{"rd", "wr", "ex"} {
		if c.text[i] != '-' {
			list = append(list, flag)
		}
	}
	if c.text[3] == 's' {
		list = append(list, "sh")
	}
	if softDirty {
		list = append(list, "sd")
	}
	for _, f := range strings.Fields(c.flags) {
		if without, ok := strings.CutPrefix(f, "-"); ok {
			list = slices.DeleteFunc(list, func(f string) bool { return f == without })
		} else {
			list = append(list, f)
		}
	}
	slices.Sort(list)
	return list
}

func textOf(m *Mapping) string {
	perms := []byte("---p")
	for i, set := range []bool{m.Read, m.Write, m.Exec} {
		if set {
			perms[i] = "rwx"[i]
		}
	}
	if m.Shared {
		perms[3] = 's'
	}
	return strings.TrimSuffix(string(perms)+" "+m.Name, " ")
}

func TestCapturedSmaps(t *testing.T) {
	each(t, func(t *testing.T, kernel string, files map[string][]byte) {
		k := kernels[kernel]
		got, err := ParseMappings(bytes.NewReader(files["smaps"]))
		if err != nil {
			t.Fatal(err)
		}
		want := slices.Concat(program(kernel), mapped(kernel), special(kernel))
		for i := range min(len(got), len(want)) {
			m, c := &got[i], want[i]
			if text := textOf(m); text != strings.TrimSuffix(c.text, " ") {
				t.Fatalf("mapping %d: %q, want %q", i, text, c.text)
			}
			flags := slices.Clone(m.VmFlags)
			slices.Sort(flags)
			same(t, fmt.Sprintf("flags of %x-%x %q", m.Start, m.End, c.text), flags, c.wantFlags(k.softDirty))
			key := 0
			if k.pkeys && c.text == "--xp" { // memory that can only be executed
				key = 1
			}
			if m.PKey != key || len(m.Unknown) > 0 || m.HasFile() != strings.Contains(c.text, "/") {
				t.Errorf("%q: protection key %d, want %d; a file: %t; unknown lines %q", c.text, m.PKey, key, m.HasFile(), m.Unknown)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d mappings, want %d", len(got), len(want))
		}
	})
}

// TestCapturedMaps: maps says the same, less what only smaps has.
func TestCapturedMaps(t *testing.T) {
	each(t, func(t *testing.T, _ string, files map[string][]byte) {
		got, err := ParseMappings(bytes.NewReader(files["maps"]))
		if err != nil {
			t.Fatal(err)
		}
		want, err := ParseMappings(bytes.NewReader(files["smaps"]))
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			want[i].VmFlags, want[i].PKey = nil, 0
		}
		same(t, "mappings", got, want)
		text := got[1]
		same(t, "the program's code", text, Mapping{Start: 0x401000, End: 0x47c000, Read: true, Exec: true, Offset: 0x1000,
			Major: text.Major, Minor: text.Minor, Inode: text.Inode, Name: text.Name})
	})
}
