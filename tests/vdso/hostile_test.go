package vdso

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"floe/lib/cli"
	"floe/lib/record"
	"floe/lib/vdso"
	"floe/tests/harness"
)

// sleeper is a process that does nothing.
var sleeper = &harness.Victim{Name: "sleeper", Args: []string{"sh", "-c", "echo begin; exec sleep 1000"}}

var le = binary.LittleEndian

// Of elf(5).
const (
	symSize  = 24
	dtHash   = 4
	dtSymTab = 6
	dtGNU    = 0x6ffffef5
)

// tag is where an entry of the dynamic section stands.
func tag(t *testing.T, b []byte, want uint64) int {
	t.Helper()
	const ptDynamic = 2
	for at := int(le.Uint64(b[32:])); ; at += 56 {
		if le.Uint32(b[at:]) != ptDynamic {
			continue
		}
		for d := int(le.Uint64(b[at+8:])); ; d += 16 {
			switch le.Uint64(b[d:]) {
			case want:
				return d
			case 0:
				t.Fatalf("the vDSO has no dynamic entry %#x", want)
			}
		}
	}
}

// symbol is the entry of the n-th function in the symbol table.
func symbol(t *testing.T, b []byte, n int) int {
	t.Helper()
	at := int(le.Uint64(b[tag(t, b, dtSymTab)+8:]))
	for i := 0; i <= n; {
		at += symSize
		if b[at+4]&15 == 2 {
			i++
		}
	}
	return at
}

// TestHostile has restore make processes of images whose vDSO is none: it makes
// nothing.
func TestHostile(t *testing.T) {
	v := harness.Launch(t, sleeper, nil)
	whole := filepath.Join(v.Dir, "whole")
	v.Checkpoint(t, whole, "")
	for name, damage := range map[string]func(b []byte){
		"symbol table outside":  func(b []byte) { le.PutUint64(b[tag(t, b, dtSymTab)+8:], 1<<40) },
		"a million symbols":     func(b []byte) { le.PutUint32(b[le.Uint64(b[tag(t, b, dtHash)+8:])+4:], 1_000_000) },
		"offset past the end":   func(b []byte) { le.PutUint64(b[symbol(t, b, 0)+8:], 1<<20) },
		"size past the end":     func(b []byte) { le.PutUint64(b[symbol(t, b, 0)+16:], 1<<20) },
		"no ELF at all":         func(b []byte) { clear(b) },
		"another machine":       func(b []byte) { le.PutUint16(b[18:], 183) },
		"endless hash chain":    func(b []byte) { le.PutUint32(b[le.Uint64(b[tag(t, b, dtGNU)+8:])+8:], 1<<30) },
		"program headers past":  func(b []byte) { le.PutUint64(b[32:], 1<<50) },
		"many program headers":  func(b []byte) { le.PutUint16(b[56:], 0xffff) },
		"strings outside":       func(b []byte) { le.PutUint64(b[tag(t, b, 5)+8:], 1<<62) },
		"overlapping functions": func(b []byte) { copy(b[symbol(t, b, 1)+8:][:8], overlap(b[symbol(t, b, 0)+8:])) },
	} {
		for _, mode := range []string{"auto", "proxy", "inplace"} {
			t.Run(name+"/"+mode, func(t *testing.T) {
				image := filepath.Join(t.TempDir(), "image")
				b, err := os.ReadFile(whole)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(image, b, 0o600); err != nil {
					t.Fatal(err)
				}
				harness.Rewrite(t, image, func(r *record.Record) bool {
					if x := r.GetVdso(); x != nil {
						damage(x.Image)
						consistent(x)
					}
					return true
				})
				p := harness.Start(t, nil, nil, "restore", "-d", "--vdso", mode, image)
				e := p.Wait(t)
				text := strings.TrimSuffix(p.Stderr.String(), "\n")
				if c := e.Code(); c != cli.StatusBadInput && c != cli.StatusFailed || strings.Contains(text, "\n") || !strings.Contains(strings.ToLower(text), "vdso") {
					t.Errorf("%s: %s", e, text)
				}
				if s := harness.Strangers(); len(s) > 0 {
					t.Errorf("processes left behind:\n%s", strings.Join(s, "\n"))
				}
			})
		}
	}
}

// overlap is an offset a little behind that of another symbol.
func overlap(offset []byte) []byte { return le.AppendUint64(nil, le.Uint64(offset)+3) }

// consistent has the record say of the bytes what they say themselves, as far as
// they can be read.
func consistent(x *record.Vdso) {
	im, err := vdso.Parse(bytes.Clone(x.Image))
	if err != nil {
		return
	}
	x.Symbols = nil
	for _, s := range im.Symbols {
		x.Symbols = append(x.Symbols, &record.Vdso_Symbol{Name: s.Name, Version: s.Version, Offset: s.Offset, Size: s.Size, Weak: s.Weak, Type: uint32(s.Type)})
	}
	x.BuildId, x.LinuxVersion = im.BuildID, im.LinuxVersion
}
