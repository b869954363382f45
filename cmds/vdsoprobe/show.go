package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"

	"floe/lib/cli"
	"floe/lib/vdso"
)

// report is what show prints.
type report struct {
	PID     int           `json:"pid,omitempty"`
	State   string        `json:"state"`
	Why     string        `json:"why,omitempty"`
	BuildID string        `json:"build_id,omitempty"`
	Linux   string        `json:"linux_version,omitempty"`
	Areas   []vdso.Area   `json:"areas"`
	Runtime []vdso.Area   `json:"runtime,omitempty"` // the kernel's areas behind a proxy
	Symbols []vdso.Symbol `json:"symbols"`
}

// version is a LINUX_VERSION_CODE as people write it.
func version(v uint32) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", v>>16, v>>8&0xff, v&0xff)
}

// read reads a process's vDSO; pid 0 is this process. Of a process with a proxy
// it is the proxy's image, and not the kernel's areas that it runs through.
func read(pid int, here vdso.VDSO) (areas []vdso.Area, code []byte, proxy *vdso.Proxied, err error) {
	name := "self"
	if pid != 0 {
		name = strconv.Itoa(pid)
	}
	p, areas, done, err := vdso.OpenProcess(name)
	if errors.Is(err, fs.ErrNotExist) && pid != 0 {
		return nil, nil, nil, fmt.Errorf("there is no process %d", pid)
	} else if err != nil {
		return nil, nil, nil, fmt.Errorf("process %s: %w", name, err)
	}
	defer done()
	if proxy, _, err = vdso.FindProxy(p, areas, here); err != nil {
		return nil, nil, nil, fmt.Errorf("process %s: %w", name, err)
	}
	if proxy != nil {
		return proxy.Image.Areas, proxy.Image.Image.Pristine(), proxy, nil
	}
	if code, err = vdso.ReadCode(p.Memory, areas); err != nil {
		return nil, nil, nil, fmt.Errorf("process %s: %w", name, err)
	}
	return areas, code, nil, nil
}

// show prints a process's vDSO, or this kernel's.
func show(w io.Writer, f *flags) error {
	here, err := vdso.Here()
	if err != nil {
		return err
	}
	areas, code, proxy, err := read(f.PID, here)
	if err != nil {
		return err
	}
	v := vdso.VDSO{Areas: areas}
	r := report{PID: f.PID, Areas: areas, Symbols: []vdso.Symbol{}}
	if code != nil {
		if v.Image, err = vdso.Parse(code); err != nil {
			return err
		}
		r.Symbols = v.Image.Symbols
		r.BuildID, r.Linux = hex.EncodeToString(v.Image.BuildID), version(v.Image.LinuxVersion)
	}
	state := vdso.Describe(v, here)
	if ehdr, ok := auxv(f.PID); ok {
		state = state.At(v, ehdr)
	}
	if proxy != nil {
		state = vdso.State{Kind: vdso.ByProxy, Why: fmt.Sprintf("it runs through this kernel's at %x, since kernel %s", proxy.Runtime.Areas[0].Start, proxy.Kernel)}
		r.Runtime = proxy.Runtime.Areas
	}
	r.State, r.Why = state.Kind.String(), state.Why
	if f.JSON {
		return printJSON(w, r)
	}
	return r.print(w)
}

func (r *report) print(w io.Writer) error {
	p := cli.NewPrinter(w)
	for _, a := range r.Areas {
		p.Line("%012x-%012x %8d  %s", a.Start, a.End, a.Size(), a.Name)
	}
	for _, a := range r.Runtime {
		p.Line("%012x-%012x %8d  %s of this kernel", a.Start, a.End, a.Size(), a.Name)
	}
	if r.BuildID != "" {
		p.Line("build-id %s", r.BuildID)
	}
	if r.Linux != "" {
		p.Line("linux %s", r.Linux)
	}
	if len(r.Symbols) > 0 {
		p.Line("")
		p.Line("%8s %6s  %s", "offset", "size", "symbol")
	}
	for _, s := range r.Symbols {
		weak := ""
		if s.Weak {
			weak = " (weak)"
		}
		p.Line("%8x %6d  %s@%s%s", s.Offset, s.Size, s.Name, s.Version, weak)
	}
	if r.PID != 0 || r.State == vdso.None.String() {
		why := ""
		if r.Why != "" {
			why = ": " + r.Why
		}
		p.Line("%s%s", r.State, why)
	}
	return p.Flush()
}

// printJSON prints a document that a terminal only shows.
func printJSON(w io.Writer, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(cli.EscapeJSON(b), '\n'))
	return err
}

// extract writes the code area's bytes, which are an ELF file.
func extract(out *os.File, f *flags) error {
	if f.JSON {
		return cli.Usage(fmt.Errorf("--extract writes bytes, and no JSON"))
	}
	here, err := vdso.Here()
	if err != nil {
		return err
	}
	_, code, _, err := read(f.PID, here)
	if err != nil {
		return err
	}
	if code == nil {
		return fmt.Errorf("process %d has no vDSO", f.PID)
	}
	if im, err := vdso.Parse(code); err == nil {
		code = im.Pristine()
	}
	if f.Extract == "-" {
		_, err := out.Write(code)
		return err
	}
	return os.WriteFile(f.Extract, code, 0o644)
}
