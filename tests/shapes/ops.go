package shapes

import (
	"fmt"
	"strings"
)

// arg is an argument of an operation: a number from lo to hi, one of names, or
// with flags any of them together.
type arg struct {
	name   string
	lo, hi int64
	names  []name
	flags  bool
}

// name is a value that has one.
type name struct {
	text  string
	value int64
}

// op is an operation: op_NAME of the victim carries it out.
type op struct {
	name   string
	group  string // operations of a group are wanted or not together
	weight int
	args   []arg
	// adjust makes a random operation one that often works, and keeps the model
	// of the tree up to date; false: not now. nil: it is as it is.
	adjust func(g *generator, t *task, v []int64) bool
	// settles: other tasks may end or stop by it, somewhat later.
	settles bool
}

func number(name string, lo, hi int64) arg { return arg{name: name, lo: lo, hi: hi} }
func choice(name string, names []name) arg { return arg{name: name, names: names} }
func flags(name string, names []name) arg  { return arg{name: name, names: names, flags: true} }
func slot(name string) arg                 { return number(name, 0, slots-1) }
func fd(name string) arg                   { return number(name, firstFD, lastFD) }
func sig(name string) arg                  { return number(name, 1, 64) }
func page() arg                            { return number("at", 0, arenaPages-1) }
func pages(name string) arg                { return number(name, 1, 24) }
func words(pairs ...any) (out []name) {
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, name{pairs[i].(string), int64(pairs[i+1].(int))})
	}
	return out
}

// ops are all operations; report and reap are the harness's own.
var ops []op

func init() {
	ops = append(ops, op{name: "report"}, op{name: "reap"})
	for _, list := range [][]op{taskOps, attributeOps, credentialOps, signalOps, memoryOps, fileOps, objectOps} {
		ops = append(ops, list...)
	}
}

func opCode(name string) (int, bool) {
	for i := range ops {
		if ops[i].name == name {
			return i, true
		}
	}
	return 0, false
}

// opsHeader is ops.h of the victim.
func opsHeader() string {
	var b strings.Builder
	b.WriteString("#define OPS(X)")
	for _, o := range ops {
		fmt.Fprintf(&b, " X(%s)", o.name)
	}
	return b.String() + "\n"
}
