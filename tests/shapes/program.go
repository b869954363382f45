package shapes

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Program is what a tree of victims does. Its text is one operation a line,
// with the slot of the task that carries it out: "2 setpgid who=2 group=2".
type Program struct {
	Seed  uint64
	Root  int // the root starts a session (0), a group (1), or neither (2)
	Steps []Step
	Stops []Stop // of processes, right before the checkpoint
}

// Step is one operation.
type Step struct {
	Task, Code int
	Args       []int64
}

// Stop is a signal that stops the process of a slot.
type Stop struct{ Task, Signal int }

func (p *Program) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d root %d\n", p.Seed, p.Root)
	for _, s := range p.Steps {
		fmt.Fprintln(&b, s)
	}
	for _, s := range p.Stops {
		fmt.Fprintf(&b, "stop %d %d\n", s.Task, s.Signal)
	}
	return b.String()
}

func (s Step) String() string {
	o := &ops[s.Code]
	out := fmt.Sprintf("%d %s", s.Task, o.name)
	for i, a := range o.args {
		out += " " + a.name + "=" + a.format(s.Args[i])
	}
	return out
}

// format is a value by its names, where it has some.
func (a arg) format(v int64) string {
	if a.names == nil {
		if a.hi >= 1<<31 && v > 1<<31 {
			return fmt.Sprintf("%#x", v)
		}
		return strconv.FormatInt(v, 10)
	}
	var parts []string
	for _, n := range a.names {
		switch {
		case !a.flags && n.value == v:
			return n.text
		case a.flags && n.value != 0 && v&n.value == n.value:
			parts = append(parts, n.text)
			v &^= n.value
		}
	}
	if v != 0 || len(parts) == 0 {
		parts = append(parts, strconv.FormatInt(v, 10))
	}
	return strings.Join(parts, "+")
}

func (a arg) parse(s string) (v int64, err error) {
words:
	for _, part := range strings.Split(s, "+") {
		for _, n := range a.names {
			if n.text == part {
				v |= n.value
				continue words
			}
		}
		n, err := strconv.ParseInt(part, 0, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", a.name, err)
		}
		v |= n
	}
	return v, nil
}

// ParseProgram reads a program's text. Empty lines and those that begin with #
// say nothing.
func ParseProgram(r io.Reader) (*Program, error) {
	p := &Program{}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		f := strings.Fields(lines.Text())
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		if err := p.parse(f); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	return p, lines.Err()
}

func (p *Program) parse(f []string) error {
	line := strings.Join(f, " ")
	switch f[0] {
	case "seed":
		_, err := fmt.Sscanf(line, "seed %d root %d", &p.Seed, &p.Root)
		return err
	case "stop":
		var s Stop
		_, err := fmt.Sscanf(line, "stop %d %d", &s.Task, &s.Signal)
		p.Stops = append(p.Stops, s)
		return err
	}
	if len(f) < 2 {
		return fmt.Errorf("%q is no operation", line)
	}
	slot, err := strconv.Atoi(f[0])
	if err != nil || slot < 0 || slot >= slots {
		return fmt.Errorf("%q is no slot", f[0])
	}
	code, ok := opCode(f[1])
	if !ok || len(ops[code].args) != len(f)-2 {
		return fmt.Errorf("%q is no operation, or lacks arguments", line)
	}
	s := Step{Task: slot, Code: code}
	for i, a := range ops[code].args {
		v, err := a.parse(strings.TrimPrefix(f[2+i], a.name+"="))
		if err != nil {
			return err
		}
		s.Args = append(s.Args, v)
	}
	p.Steps = append(p.Steps, s)
	return nil
}
