package main

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/cli"
	"floe/lib/image"
	"floe/lib/mem"
	"floe/lib/pages"
	"floe/lib/record"
)

const pageSize = pages.PageSize

// space prints one address space: its mappings and its vDSO.
func (t *table) space(mm *record.Mm) {
	vmas := t.im.Vmas[mm.MmId]
	var size uint64
	for _, v := range vmas {
		size += v.End - v.Start
	}
	t.Line("")
	t.Line("memory of %s: %s, %s", owners(t.mms[mm.MmId]), cli.Count(len(vmas), "mapping"), cli.Bytes(size))
	if t.im.HasFile(mm.ExeFile) {
		t.Line("program %s", fileName(t.im, mm.ExeFile))
	}
	t.Line("%33s %9s %-4s %9s  %s", "RANGE", "SIZE", "PROT", "SAVED", "WHAT")
	s := t.saved.spaces[mm.MmId]
	i := 0 // among the mappings that pages are saved of
	for _, v := range vmas {
		var n [classes]uint64
		if s != nil && i < len(s.vmas) && s.vmas[i] == v {
			n = s.pages(i)
			i++
		}
		saved := "-"
		if n[data] > 0 {
			saved = cli.Bytes(n[data] * pageSize)
		}
		t.Line("%33s %9s %-4s %9s  %s%s", span(v.Start, v.End), cli.Bytes(v.End-v.Start), protection(v), saved, behind(t.im, v), remarks(v, n))
	}
	t.vdso(t.im.Vdsos[mm.MmId])
}

func span(start, end uint64) string { return fmt.Sprintf("%x-%x", start, end) }

// protection is what /proc/PID/maps shows: "rw-p".
func protection(v *record.Vma) string {
	b := []byte("---p")
	for i, bit := range []uint32{unix.PROT_READ, unix.PROT_WRITE, unix.PROT_EXEC} {
		if v.Prot&bit != 0 {
			b[i] = "rwx"[i]
		}
	}
	if v.Kind == record.Vma_ANON_SHARED || v.Kind == record.Vma_FILE_SHARED {
		b[3] = 's'
	}
	return string(b)
}

// behind is what a mapping is of.
func behind(im *image.Image, v *record.Vma) string {
	switch v.Kind {
	case record.Vma_ANON_SHARED:
		return fmt.Sprintf("shared memory %d at %#x", v.ShmemId, v.Offset)
	case record.Vma_FILE_PRIVATE, record.Vma_FILE_SHARED:
		return fmt.Sprintf("%s at %#x", fileName(im, v.FileId), v.Offset)
	}
	if v.Name == "" {
		return "anonymous"
	}
	return v.Name
}

// remarks is what else there is to say of a mapping.
func remarks(v *record.Vma, n [classes]uint64) string {
	var list []string
	for _, name := range v.Flags {
		if f := mem.Lookup(name); f != nil && f.Shown() && v.Kind != record.Vma_SPECIAL && !slices.Contains(list, f.Means) {
			list = append(list, f.Means)
		}
	}
	if n[zero] > 0 {
		list = append(list, cli.Count(n[zero], "zero page"))
	}
	if n[guard] > 0 {
		list = append(list, cli.Count(n[guard], "guard page"))
	}
	if len(list) == 0 {
		return ""
	}
	return " (" + strings.Join(list, ", ") + ")"
}

// fileName is a file's path.
func fileName(im *image.Image, id uint64) string {
	f := im.File(id)
	switch {
	case f == nil:
		return fmt.Sprintf("file %d, which is not there", id)
	case f.Deleted:
		return string(f.Path) + " (deleted)"
	}
	return string(f.Path)
}

// vdso prints the vDSO that an address space is to have, and where another
// kernel's was that it ran through.
func (t *table) vdso(v *record.Vdso) {
	if v == nil {
		return
	}
	if len(v.Areas) == 0 {
		t.Line("vDSO none")
		return
	}
	var parts []string
	for _, a := range v.Areas[:min(len(v.Areas), maxShown)] {
		parts = append(parts, a.Name+" "+span(a.Start, a.End))
	}
	if n := v.LinuxVersion; n != 0 {
		parts = append(parts, fmt.Sprintf("linux %d.%d.%d", n>>16, n>>8&0xff, n&0xff))
	}
	t.Line("vDSO original %s, build-id %s, %s", strings.Join(parts, ", "), orUnknown(hex.EncodeToString(v.BuildId)), cli.Count(len(v.Symbols), "symbol"))
	if !v.Proxied {
		return
	}
	parts = parts[:0]
	for _, s := range v.Floe[:min(len(v.Floe), maxShown)] {
		parts = append(parts, span(s.Start, s.End))
	}
	t.Line("vDSO runtime  of another kernel, left out: %s", strings.Join(parts, ", "))
}

// maxShown bounds lists within a line.
const maxShown = 32

// objects prints shared memory: it is saved once, whoever maps it.
func (t *table) objects() {
	all := t.saved.objects
	if all == nil {
		all = sharedObjects(t.im)
	}
	if len(all) == 0 {
		return
	}
	t.Line("")
	t.Line("%-16s %9s %9s", "SHARED MEMORY", "SIZE", "SAVED")
	for _, id := range sorted(all) {
		o := all[id]
		t.Line("%-16d %9s %9s%s", id, cli.Bytes(o.size), cli.Bytes(o.pages[data]*pageSize), remarks(&record.Vma{}, o.pages))
	}
}
