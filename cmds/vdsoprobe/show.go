package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"floe/lib/cli"
	"floe/lib/image"
	"floe/lib/record"
	"floe/lib/vdso"
)

// report is what show prints.
type report struct {
	Areas   []vdso.Area
	Symbols []vdso.Symbol
	BuildID string
	Linux   string `json:",omitempty"`
}

func version(v uint32) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", v>>16, v>>8&0xff, v&0xff)
}

// show prints a process's vDSO, or this kernel's.
func show(w io.Writer, f flags) error {
	pid := "self"
	if f.PID != 0 {
		pid = fmt.Sprint(f.PID)
	}
	maps, err := os.Open("/proc/" + pid + "/maps")
	if err != nil {
		return err
	}
	defer maps.Close()
	areas, err := vdso.ReadAreas(maps)
	if err != nil {
		return err
	}
	code, err := vdso.ReadCode("/proc/"+pid+"/mem", areas)
	if err != nil {
		return err
	}
	r := report{Areas: areas}
	if code != nil {
		im, err := vdso.Parse(code)
		if err != nil {
			return err
		}
		r.Symbols, r.BuildID, r.Linux = im.Symbols, hex.EncodeToString(im.BuildID), version(im.LinuxVersion)
	}
	if f.Extract != "" {
		if code == nil {
			return fmt.Errorf("process %s has no vDSO", pid)
		}
		return os.WriteFile(f.Extract, code, 0o644)
	}
	if f.JSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	for _, a := range r.Areas {
		fmt.Fprintf(w, "%012x-%012x %8d  %s\n", a.Start, a.End, a.End-a.Start, a.Name)
	}
	if code == nil {
		fmt.Fprintln(w, "no vDSO")
		return nil
	}
	fmt.Fprintf(w, "build-id %s\n", r.BuildID)
	if r.Linux != "" {
		fmt.Fprintf(w, "linux %s\n", r.Linux)
	}
	for _, s := range r.Symbols {
		weak := ""
		if s.Weak {
			weak = " weak"
		}
		fmt.Fprintf(w, "%8x %6d  %s@%s%s\n", s.Offset, s.Size, s.Name, s.Version, weak)
	}
	return nil
}

// side is one of two vDSOs to compare.
type side struct {
	areas []vdso.Area
	im    *vdso.Image
}

const (
	statusDifferent = 1
	statusTrouble   = 2
)

// compare prints what restore would do with an image's vDSO.
func compare(w io.Writer, a, b string, asJSON bool) error {
	trouble := func(err error) error { return &cli.ExitError{Code: statusTrouble, Err: err} }
	left, err := load(a)
	if err != nil {
		return trouble(err)
	}
	right, err := load(b)
	if err != nil {
		return trouble(err)
	}
	v := vdso.Compare(left.areas, left.im, right.areas, right.im)
	rows := table(left.im, right.im, v)
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		if err := e.Encode(map[string]any{"symbols": rows, "verdict": v.String()}); err != nil {
			return trouble(err)
		}
	} else {
		fmt.Fprintf(w, "%-36s %8s %8s  %s\n", "symbol", "image", "runtime", "restore would")
		for _, r := range rows {
			fmt.Fprintf(w, "%-36s %8s %8s  %s\n", r.Symbol, r.Image, r.Runtime, r.Action)
		}
		fmt.Fprintln(w, v)
	}
	if v.Kind != vdso.InPlace {
		return &cli.ExitError{Code: statusDifferent}
	}
	return nil
}

type row struct{ Symbol, Image, Runtime, Action string }

func table(a, b *vdso.Image, v vdso.Verdict) []row {
	at := map[string]uint64{}
	for _, s := range b.Symbols {
		at[s.Name] = s.Offset
	}
	var rows []row
	seen := map[string]bool{}
	for _, s := range a.Symbols {
		r := row{Symbol: s.Name, Image: fmt.Sprintf("%x", s.Offset), Runtime: "-"}
		off, ok := at[s.Name]
		if ok {
			r.Runtime = fmt.Sprintf("%x", off)
		}
		switch {
		case v.Kind == vdso.InPlace:
			r.Action = "leave it to the kernel"
		case ok:
			r.Action = "redirect it"
		default:
			r.Action = "make the system call"
		}
		seen[s.Name] = true
		rows = append(rows, r)
	}
	for _, s := range b.Symbols {
		if !seen[s.Name] {
			rows = append(rows, row{s.Name, "-", fmt.Sprintf("%x", s.Offset), "not need it"})
		}
	}
	return rows
}

// load reads the vDSO of an image file's first address space; without a name,
// this kernel's.
func load(name string) (side, error) {
	if name == "" {
		areas, code, err := vdso.Own()
		if err != nil {
			return side{}, err
		}
		im, err := vdso.Parse(code)
		return side{areas, im}, err
	}
	f, err := os.Open(name)
	if err != nil {
		return side{}, err
	}
	defer f.Close()
	r, err := record.NewReader(f)
	if err != nil {
		return side{}, fmt.Errorf("%s: %w", name, err)
	}
	im := image.New()
	for {
		fr, err := r.Next()
		if err == io.EOF || err == nil && fr.Record.GetMark() != nil {
			return side{}, fmt.Errorf("%s has no vDSO in it: was vdsoprobe in the pipeline?", name)
		} else if err != nil {
			return side{}, fmt.Errorf("%s: %w", name, err)
		}
		if v := fr.Record.GetVdso(); v != nil && len(v.Image) > 0 {
			parsed, err := vdso.Parse(v.Image)
			if err != nil {
				return side{}, fmt.Errorf("%s: %w", name, err)
			}
			return side{vdso.RecordAreas(v), parsed}, nil
		}
		if err := im.Add(fr.Record, nil); err != nil {
			return side{}, fmt.Errorf("%s: %w", name, err)
		}
	}
}
