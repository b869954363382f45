package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"floe/lib/cli"
	"floe/lib/record"
	"floe/lib/vdso"
)

// Exit statuses of --compare.
const (
	statusDifferent = 1
	statusTrouble   = 2
)

// variant is one of the vDSOs of an image: mostly all address spaces have the
// same one.
type variant struct {
	mms []uint64
	v   vdso.VDSO
}

// comparison is one variant's, for printing.
type comparison struct {
	AddressSpaces []uint64 `json:"address_spaces"`
	Verdict       string   `json:"verdict"`
	Why           string   `json:"why,omitempty"` // not in place
	Symbols       []row    `json:"symbols"`
}

// row is one symbol; an offset is nil where there is none of that name.
type row struct {
	Symbol  string  `json:"symbol"`
	Image   *uint64 `json:"image_offset"`
	Runtime *uint64 `json:"runtime_offset"`
	Action  string  `json:"action"`
}

// compare prints what restore would do with an image's vDSOs.
func compare(w io.Writer, f *flags) error {
	list, worst, err := compareAll(f)
	if err != nil {
		return &cli.ExitError{Code: statusTrouble, Err: err}
	}
	if f.JSON {
		err = printJSON(w, map[string]any{"same": worst == vdso.InPlace, "vdsos": list})
	} else {
		err = printAll(w, list)
	}
	if err != nil {
		return &cli.ExitError{Code: statusTrouble, Err: err}
	}
	if worst != vdso.InPlace {
		return &cli.ExitError{Code: statusDifferent}
	}
	return nil
}

func compareAll(f *flags) (list []comparison, worst vdso.Kind, err error) {
	variants, err := load(f.Compare)
	if err != nil {
		return nil, 0, err
	}
	runtime, err := vdso.Here()
	if f.Image2 != "" {
		runtime, err = loadRuntime(f.Image2)
	}
	if err != nil {
		return nil, 0, err
	}
	for _, v := range variants {
		verdict := vdso.Compare(v.v, runtime)
		worst = max(worst, verdict.Kind)
		c := comparison{AddressSpaces: v.mms, Verdict: verdict.String(), Symbols: rows(verdict, runtime)}
		if verdict.Kind == vdso.Proxy {
			c.Why = verdict.Why
		}
		list = append(list, c)
	}
	return list, worst, nil
}

// rows makes the lines of a table: the image's symbols, then those that only the
// runtime has.
func rows(v vdso.Verdict, runtime vdso.VDSO) []row {
	out := []row{}
	named := map[string]bool{}
	for _, f := range v.Functions {
		for _, s := range f.Symbols {
			r := row{Symbol: s.Name, Image: &s.Offset, Action: action(f, s)}
			if f.Runtime != nil {
				r.Runtime = &f.Runtime.Offset
			}
			named[s.Name] = true
			out = append(out, r)
		}
	}
	if runtime.Image == nil {
		return out
	}
	for _, s := range runtime.Image.Symbols {
		if !named[s.Name] && s.Callable() {
			out = append(out, row{Symbol: s.Name, Runtime: &s.Offset, Action: "nothing: the image does not know it"})
		}
	}
	return out
}

func action(f vdso.Function, s vdso.Symbol) string {
	switch f.Action {
	case vdso.Leave:
		return "leave it to the kernel"
	case vdso.Redirect:
		if f.Runtime.Name != s.Name {
			return "redirect it to " + f.Runtime.Name
		}
		return "redirect it"
	case vdso.BySyscall:
		return "make the system call " + f.Call
	case vdso.Keep:
		return "keep it: it needs no kernel"
	}
	return "nothing: floe does not know it"
}

func printAll(w io.Writer, list []comparison) error {
	p := cli.NewPrinter(w)
	offset := func(o *uint64) string {
		if o == nil {
			return "-"
		}
		return fmt.Sprintf("%x", *o)
	}
	for _, c := range list {
		if len(list) > 1 {
			p.Line("address spaces %v:", c.AddressSpaces)
		}
		p.Line("%-36s %8s %8s  %s", "symbol", "image", "runtime", "restore would")
		for _, r := range c.Symbols {
			p.Line("%-36s %8s %8s  %s", r.Symbol, offset(r.Image), offset(r.Runtime), r.Action)
		}
		if c.Why != "" {
			p.Line("not in place: %s", c.Why)
		}
		p.Line("%s", c.Verdict)
	}
	return p.Flush()
}

// load reads the vDSOs of an image file, those that are alike once. It reads no
// further than the stage that wrote them.
func load(name string) ([]variant, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := readVariants(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return list, nil
}

func readVariants(in io.Reader) ([]variant, error) {
	const most = 64
	r, err := record.NewReader(in)
	if err != nil {
		return nil, err
	}
	var list []variant
	for {
		fr, err := r.Next()
		if err == io.EOF || err == nil && fr.Record.GetMark() != nil {
			break
		} else if err != nil {
			return nil, err
		}
		if e := fr.Record.GetEndStage(); e != nil && e.Stage == "vdsoprobe" {
			break
		}
		rec := fr.Record.GetVdso()
		if rec == nil {
			continue
		}
		v, err := vdso.FromRecord(rec)
		if err != nil {
			return nil, fmt.Errorf("address space %d: %w", rec.MmId, err)
		}
		i := slices.IndexFunc(list, func(o variant) bool { return alike(o.v, v) })
		if i < 0 {
			i = len(list)
			list = append(list, variant{v: v})
		}
		if len(list) > most {
			return nil, fmt.Errorf("more than %d different vDSOs", most)
		}
		list[i].mms = append(list[i].mms, rec.MmId)
	}
	if len(list) == 0 {
		return nil, errors.New("it has no vDSO in it; was vdsoprobe in the pipeline?")
	}
	return list, nil
}

// alike tells whether two vDSOs are compared with the same outcome.
func alike(a, b vdso.VDSO) bool {
	if (a.Image == nil) != (b.Image == nil) || !vdso.SameLayout(a.Areas, b.Areas) {
		return false
	}
	return a.Image == nil || bytes.Equal(a.Image.Pristine(), b.Image.Pristine())
}

// loadRuntime is the vDSO that stands for an image's kernel.
func loadRuntime(name string) (vdso.VDSO, error) {
	list, err := load(name)
	if err != nil {
		return vdso.VDSO{}, err
	}
	for _, v := range list {
		if v.v.Image != nil {
			return v.v, nil
		}
	}
	return vdso.VDSO{}, fmt.Errorf("%s: no process of it has a vDSO", name)
}
