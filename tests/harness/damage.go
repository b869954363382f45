package harness

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"

	"floe/lib/record"
)

// Damaged is a stream, up to its end or its mark, with one thing in it changed
// at random and all checksums made anew, and what that was.
func Damaged(r *rand.Rand, stream []byte) ([]byte, string, error) {
	list, err := frames(stream)
	if err != nil {
		return nil, "", err
	}
	list, what := damage(r, list)
	b, err := written(list)
	return b, what, err
}

const pageSize = 4096

// framed is a record and its payload.
type framed struct {
	rec     *record.Record
	payload []byte
	offset  int64
}

func frames(stream []byte) ([]framed, error) {
	r, err := record.NewReader(bytes.NewReader(stream))
	if err != nil {
		return nil, err
	}
	var list []framed
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list, nil
		} else if err != nil {
			return nil, err
		}
		payload, err := r.Payload()
		if err != nil {
			return nil, err
		}
		list = append(list, framed{f.Record, bytes.Clone(payload), f.Offset})
		if f.Record.GetMark() != nil {
			return list, nil
		}
	}
}

// written is a stream of these records.
func written(list []framed) ([]byte, error) {
	var out bytes.Buffer
	w := record.NewWriter(&out)
	moved := map[uint64]uint64{} // where records of pages stand now
	for _, f := range list {
		var err error
		f.rec.Pad = nil
		switch x := f.rec.Body.(type) {
		case *record.Record_EndStage:
			err = w.EndStage(x.EndStage.Stage, x.EndStage.ToolVersion)
		case *record.Record_Mark:
			err = w.Mark()
		case *record.Record_Pages:
			moved[uint64(f.offset)] = uint64(w.Offset())
			err = w.AddAligned(f.rec, f.payload, pageSize)
		case *record.Record_Index:
			for _, b := range x.Index.Blocks {
				b.Offset = moved[b.Offset]
			}
			err = w.End(x.Index)
		case *record.Record_End:
		default:
			err = w.Add(f.rec, f.payload)
		}
		if err != nil {
			return nil, err
		}
	}
	return out.Bytes(), w.Flush()
}

// damage changes one thing: of the records one is lost, doubled, out of place,
// or, mostly, has a field that is not what it was.
func damage(r *rand.Rand, list []framed) ([]framed, string) {
	var own []int // records that a stage has written for what they say
	for i, f := range list {
		switch f.rec.Body.(type) {
		case *record.Record_Mark, *record.Record_EndStage, *record.Record_Pages, *record.Record_Index, *record.Record_End:
		default:
			own = append(own, i)
		}
	}
	i := own[r.IntN(len(own))]
	kind := list[i].rec.Kind()
	switch r.IntN(12) {
	case 0:
		return slices.Delete(list, i, i+1), fmt.Sprintf("%s (record %d) is lost", kind, i)
	case 1:
		return slices.Insert(list, i, list[i]), fmt.Sprintf("%s (record %d) is there twice", kind, i)
	case 2:
		j := own[r.IntN(len(own))]
		list[i], list[j] = list[j], list[i]
		return list, fmt.Sprintf("%s and %s (records %d and %d) have changed places", kind, list[i].rec.Kind(), i, j)
	}
	body := reflect.ValueOf(list[i].rec.Body).Elem().Field(0) // the message
	return list, fmt.Sprintf("%s (record %d): %s", kind, i, spoil(r, body))
}

// spoil changes one value within a message, and says which.
func spoil(r *rand.Rand, message reflect.Value) string {
	var at []reflect.Value
	var names []string
	collect(message, "", func(v reflect.Value, name string) { at, names = append(at, v), append(names, name) })
	if len(at) == 0 {
		return "nothing"
	}
	i := r.IntN(len(at))
	return names[i] + ": " + change(r, at[i])
}

// collect visits all that can be changed within a value.
func collect(v reflect.Value, name string, visit func(reflect.Value, string)) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			if v.CanSet() && name != "" {
				visit(v, name)
			}
			collect(v.Elem(), name, visit)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				collect(v.Field(i), name+"."+f.Name, visit)
			}
		}
	case reflect.Slice:
		visit(v, name)
		if v.Type().Elem().Kind() != reflect.Uint8 {
			for i := range v.Len() {
				collect(v.Index(i), fmt.Sprintf("%s[%d]", name, i), visit)
			}
		}
	default:
		visit(v, name)
	}
}

// change gives a value another one.
func change(r *rand.Rand, v reflect.Value) string {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		v.SetZero()
		return "gone"
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.String:
		v.SetString([]string{"", v.String() + "x", "dp", "ac", "[heap]"}[r.IntN(5)])
	case reflect.Int32, reflect.Int64:
		v.SetInt([]int64{0, -1, 1, v.Int() + 1, v.Int() ^ 1<<r.IntN(31), 1<<31 - 1}[r.IntN(6)])
	case reflect.Uint32, reflect.Uint64:
		bits := v.Type().Bits()
		v.SetUint([]uint64{0, 1, v.Uint() + 1, v.Uint() ^ 1<<r.IntN(bits), v.Uint() + 4096, 1<<bits - 1}[r.IntN(6)])
	case reflect.Slice:
		return changeList(r, v)
	}
	return fmt.Sprintf("now %v", v)
}

func changeList(r *rand.Rand, v reflect.Value) string {
	n := v.Len()
	switch {
	case n == 0:
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
		if e := v.Index(0); e.Kind() == reflect.Pointer {
			e.Set(reflect.New(e.Type().Elem()))
		}
		return "one more"
	case v.Type().Elem().Kind() == reflect.Uint8 && r.IntN(2) == 0:
		b := v.Index(r.IntN(n))
		b.SetUint(b.Uint() ^ 1<<r.IntN(8))
		return "a bit of it"
	case r.IntN(2) == 0:
		v.Set(v.Slice(0, n-1))
		return "one less"
	}
	v.Set(reflect.Append(v, v.Index(n-1)))
	return "its last twice"
}
