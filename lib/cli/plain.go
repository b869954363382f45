package cli

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// parsePlain parses what command lines mostly are: flags that are known, with
// values that are right, and numbers. It tells whether it could; if not,
// nothing has changed, and kong parses, says what is wrong, or gives help. To
// set kong up takes as long as a stage's own work for a small process.
//
// Both are pointers to structs with kong's tags.
func parsePlain(args []string, structs ...any) bool {
	p := &plain{}
	for _, s := range structs {
		v := reflect.New(reflect.TypeOf(s).Elem()).Elem()
		p.values = append(p.values, v)
		if !p.declare(v) {
			return false
		}
	}
	if !p.parse(args) {
		return false
	}
	for i, s := range structs {
		reflect.ValueOf(s).Elem().Set(p.values[i])
	}
	return true
}

// plain is a command line being parsed.
type plain struct {
	values []reflect.Value
	flags  []plainFlag
	args   []plainFlag // positional, those that are missing yet
}

type plainFlag struct {
	name, short string
	enum        []string
	optional    bool
	to          reflect.Value
}

// declare notes the fields of a struct and gives them their defaults. It tells
// whether it knows all that their tags say.
func (p *plain) declare(v reflect.Value) bool {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.Anonymous {
			return false
		}
		if field.Name == "Version" || field.Name == "Man" { // they do more than set a value
			continue
		}
		for _, key := range []string{"required", "cmd", "env", "embed", "type", "negatable", "xor", "and"} {
			if _, ok := field.Tag.Lookup(key); ok {
				return false
			}
		}
		f := plainFlag{name: field.Tag.Get("name"), short: field.Tag.Get("short"), to: v.Field(i)}
		if f.name == "" {
			f.name = flagName(field.Name)
		}
		if e := field.Tag.Get("enum"); e != "" {
			f.enum = strings.Split(e, ",")
		}
		if d, ok := field.Tag.Lookup("default"); ok && !f.set(d) {
			return false
		}
		_, f.optional = field.Tag.Lookup("optional")
		if _, ok := field.Tag.Lookup("arg"); ok {
			p.args = append(p.args, f)
		} else {
			p.flags = append(p.flags, f)
		}
	}
	return true
}

// flagName is the name of a field's flag: force-files of ForceFiles. A name
// with several capitals in a row has a tag.
func flagName(field string) string {
	var b strings.Builder
	for i, r := range field {
		if i > 0 && 'A' <= r && r <= 'Z' {
			b.WriteByte('-')
		}
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}

func (p *plain) parse(args []string) bool {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		name, long := strings.CutPrefix(arg, "--")
		name, value, given := strings.Cut(name, "=")
		i := slices.IndexFunc(p.flags, func(f plainFlag) bool {
			return long && f.name == name || !long && f.short != "" && arg == "-"+f.short
		})
		switch {
		case i >= 0 && p.flags[i].to.Kind() == reflect.Bool:
			if given {
				return false
			}
			p.flags[i].to.SetBool(true)
		case i >= 0:
			if !given {
				if len(args) == 0 || strings.HasPrefix(args[0], "-") {
					return false
				}
				value, args = args[0], args[1:]
			}
			if !p.flags[i].set(value) {
				return false
			}
		case len(p.args) == 0 || !p.args[0].set(arg):
			return false
		default:
			p.args = p.args[1:]
		}
	}
	return !slices.ContainsFunc(p.args, func(f plainFlag) bool { return !f.optional })
}

// set sets a value of a kind that it knows, written plainly.
func (f *plainFlag) set(s string) bool {
	if s == "" || strings.HasPrefix(s, "-") || strings.ContainsAny(s, "$ \\\"'") || f.enum != nil && !slices.Contains(f.enum, s) {
		return false
	}
	switch {
	case f.to.Type() == reflect.TypeFor[time.Duration]():
		d, err := time.ParseDuration(s)
		f.to.SetInt(int64(d))
		return err == nil
	case f.to.Kind() == reflect.String:
		f.to.SetString(s)
		return true
	case f.to.Kind() == reflect.Int:
		n, err := strconv.Atoi(s)
		f.to.SetInt(int64(n))
		return err == nil && strconv.Itoa(n) == s
	}
	return false
}
