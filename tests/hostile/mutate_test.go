package hostile

import (
	"math"
	"math/rand/v2"
	"reflect"
	"strings"

	"floe/lib/record"
)

// leaf is a value in a record that can be changed, and where it stands.
type leaf struct {
	value reflect.Value
	path  string
}

// leaves lists all numbers, strings and lists of a record.
func leaves(rec *record.Record) []leaf {
	var out []leaf
	var walk func(v reflect.Value, path string)
	walk = func(v reflect.Value, path string) {
		switch v.Kind() {
		case reflect.Pointer, reflect.Interface:
			if !v.IsNil() {
				walk(v.Elem(), path)
			}
		case reflect.Struct:
			for i := range v.NumField() {
				if f := v.Type().Field(i); f.IsExported() {
					walk(v.Field(i), path+"."+f.Name)
				}
			}
		case reflect.Slice:
			if v.CanSet() && v.Len() > 0 {
				out = append(out, leaf{v, path})
			}
			if v.Type().Elem().Kind() == reflect.Uint8 {
				return
			}
			for i := range v.Len() {
				walk(v.Index(i), path)
			}
		default:
			if v.CanSet() {
				out = append(out, leaf{v, path})
			}
		}
	}
	walk(reflect.ValueOf(rec.Body), "")
	return out
}

// mutate changes one value of a record to another that its type can have; it
// returns what it has changed.
func mutate(r *rand.Rand, rec *record.Record) string {
	list := leaves(rec)
	if len(list) == 0 {
		return "nothing"
	}
	l := list[r.IntN(len(list))]
	v := l.value
	switch v.Kind() {
	case reflect.Int32, reflect.Int64:
		v.SetInt(int64(number(r, uint64(v.Int()))))
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(number(r, v.Uint()))
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.String:
		v.SetString(strings.ToValidUTF8(string(text(r, []byte(v.String()))), "?"))
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(text(r, v.Bytes()))
		} else {
			shuffle(r, v)
		}
	}
	return l.path
}

// number is another number than n.
func number(r *rand.Rand, n uint64) uint64 {
	choices := []uint64{0, 1, n + 1, n - 1, n ^ 1<<r.IntN(64), n ^ 1<<r.IntN(12), n << 12, n >> 1, -n,
		math.MaxInt32, math.MaxUint32, math.MaxInt64, math.MaxUint64, 1 << 47, 1 << 30, 1 << 12, uint64(r.IntN(70)), r.Uint64()}
	return choices[r.IntN(len(choices))]
}

// text is other bytes than b.
func text(r *rand.Rand, b []byte) []byte {
	b = append([]byte(nil), b...)
	switch r.IntN(4) {
	case 0:
		return b[:r.IntN(len(b)+1)]
	case 1:
		return append(b, b...)
	case 2:
		return append(b, byte(r.Uint32()))
	}
	if len(b) > 0 {
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
	}
	return b
}

// shuffle drops an element of a list, has it twice, or swaps two.
func shuffle(r *rand.Rand, v reflect.Value) {
	i, j := r.IntN(v.Len()), r.IntN(v.Len())
	switch r.IntN(3) {
	case 0:
		v.Set(reflect.AppendSlice(v.Slice3(0, i, i), v.Slice(i+1, v.Len())))
	case 1:
		v.Set(reflect.Append(v.Slice3(0, v.Len(), v.Len()), v.Index(i)))
	default:
		a, b := reflect.ValueOf(v.Index(i).Interface()), reflect.ValueOf(v.Index(j).Interface())
		v.Index(i).Set(b)
		v.Index(j).Set(a)
	}
}
