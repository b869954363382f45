package cli

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

type plainFlags struct {
	Then       string        `enum:"thaw,kill" default:"thaw"`
	Timeout    time.Duration `default:"10s"`
	VDSO       string        `name:"vdso"`
	ForceFiles bool
	Output     string   `short:"o"`
	Detach     bool     `short:"d"`
	Workers    int      `default:"0"`
	PID        int      `arg:""`
	File       string   `arg:"" optional:""`
	Command    []string `arg:"" optional:"" passthrough:""`
}

// TestParsePlain compares with kong: what is parsed is parsed as kong does, and
// what kong refuses is left to it.
func TestParsePlain(t *testing.T) {
	for line, plain := range map[string]bool{
		"12":                                   true,
		"12 img":                               true,
		"--then kill 12":                       true,
		"12 --then=kill":                       true,
		"--then kill --then thaw 12":           true,
		"-q -d 12":                             true,
		"--verbose --force-files 12":           true,
		"--timeout 1m30s 12":                   true,
		"--vdso proxy --workers 3 12 x":        true,
		"--vdso=a=b 12":                        true,
		"":                                     false,
		"x":                                    false,
		"-1":                                   false,
		"012":                                  false,
		"+12":                                  false,
		"--":                                   false,
		"--then 12":                            false,
		"--then both 12":                       false,
		"--then= 12":                           false,
		"--nothing 12":                         false,
		"--nothing=3 12":                       false,
		"-x 12":                                false,
		"-qd 12":                               false,
		"--d 12":                               false,
		"--detach=true 12":                     false,
		"--timeout 5 12":                       false,
		"--workers -3 12":                      false,
		"--workers x 12":                       false,
		"-o img 12":                            true,
		"12 -o img":                            true,
		"-o img --output i2 12":                true,
		"-o an-image.1-2 12":                   true,
		"12 an-image --vdso=a-b":               true,
		"12 -":                                 false,
		"-o":                                   false,
		"-o -q 12":                             false,
		"-oimg 12":                             false,
		"-o=img 12":                            false,
		"--vdso":                               false,
		"--vdso --detach 12":                   false,
		"12 a b":                               false,
		"12 -- a b":                            false,
		"--help":                               false,
		"--man 12":                             false,
		"--version":                            false,
		"--then":                               false,
		"99999999999999999999999999999999 img": false,
	} {
		args := strings.Fields(line)
		before := plainFlags{VDSO: "before"}
		got := before
		var c common
		if ok := parsePlain(args, &got, &c); ok != plain {
			t.Errorf("%q: parsed: %v, want %v", line, ok, plain)
		} else if !ok {
			if !reflect.DeepEqual(got, before) || c != (common{}) {
				t.Errorf("%q: not parsed, and changed: %+v", line, got)
			}
			continue
		}
		var want plainFlags
		var common common
		p, err := kong.New(&want, kong.Name("x"), kong.Embed(&common), kong.Vars{"version": "x"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Parse(args); err != nil {
			t.Errorf("%q: kong refuses it: %v", line, err)
		}
		if !reflect.DeepEqual(got, want) || c != common {
			t.Errorf("%q: %+v %+v, and kong says %+v %+v", line, got, c, want, common)
		}
	}
}

// TestParsePlainUnknown: what a tag says that is not known is left to kong.
func TestParsePlainUnknown(t *testing.T) {
	for _, s := range []any{
		&struct {
			A int `required:""`
		}{},
		&struct {
			A string `env:"HOME"`
		}{},
		&struct {
			A bool `xor:"x"`
		}{},
		&struct {
			A float64 `default:"1"`
		}{},
		&struct{ common }{},
	} {
		if parsePlain(nil, s) {
			t.Errorf("%T was parsed", s)
		}
	}
}
