package record

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
)

// shape is what there is to know of a message: which fields it has, where they
// are in the Go struct, and what they take in memory.
type shape struct {
	size    int     // bytes of the Go struct
	fields  []field // by number
	order   []protowire.Number
	unknown int // index of the struct's field for fields that are unknown
}

type field struct {
	known    bool
	repeated bool
	oneof    bool
	wire     protowire.Type // of one element
	zigzag   bool
	elem     int          // bytes of one element in Go memory
	message  reflect.Type // struct of a message; nil: it is none
	index    int          // in the Go struct: its own, or its oneof's
	wrapper  reflect.Type // of a oneof: struct of one field
}

// shapes are those that were needed so far, by type. They come from the tags of
// the generated structs: protobuf's own reflection would take longer than a
// small image's whole checkpoint.
var shapes sync.Map

var recordType = reflect.TypeFor[Record]()

// shapeOf is the shape of a message with a struct type.
func shapeOf(t reflect.Type) *shape {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape)
	}
	s := &shape{size: int(t.Size())}
	s.add(t, -1)
	for i := range t.NumField() {
		switch sf := t.Field(i); {
		case sf.Name == "unknownFields":
			s.unknown = i
		case strings.HasPrefix(string(sf.Tag), "protobuf_oneof:"): // no message has two
			for _, w := range oneofs(t) {
				s.add(reflect.TypeOf(w).Elem(), i)
			}
		}
	}
	for n := range s.fields {
		if s.fields[n].known {
			s.order = append(s.order, protowire.Number(n))
		}
	}
	shapes.Store(t, s)
	return s
}

// oneofs are the structs that hold the members of a message's oneof.
func oneofs(t reflect.Type) []any {
	switch t {
	case recordType:
		return []any{
			(*Record_Header)(nil), (*Record_Mark)(nil), (*Record_EndStage)(nil), (*Record_Index)(nil), (*Record_End)(nil),
			(*Record_Task)(nil), (*Record_Thread)(nil), (*Record_Mm)(nil), (*Record_Vma)(nil), (*Record_File)(nil),
			(*Record_Vdso)(nil), (*Record_Fs)(nil), (*Record_Fd)(nil), (*Record_OpenFile)(nil), (*Record_Pipe)(nil),
			(*Record_FileLock)(nil), (*Record_Pages)(nil),
		}
	case reflect.TypeFor[OpenFile]():
		return []any{
			(*OpenFile_Path_)(nil), (*OpenFile_Pipe)(nil), (*OpenFile_Eventfd)(nil), (*OpenFile_Epoll_)(nil),
			(*OpenFile_Timerfd)(nil), (*OpenFile_Signalfd)(nil), (*OpenFile_External_)(nil),
		}
	}
	panic("record: " + t.Name() + " has a oneof that this list lacks")
}

// add adds the fields of a struct that have a tag, as in
// `protobuf:"bytes,16,opt,name=header,proto3,oneof"`.
// The struct is the message itself, or a oneof's that has index in the message.
func (s *shape) add(t reflect.Type, oneof int) {
	s.fields = slices.Grow(s.fields, t.NumField()+1)
	for i := range t.NumField() {
		sf := t.Field(i)
		// Not by StructTag's methods: a program that starts has no time for them.
		tag, ok := strings.CutPrefix(string(sf.Tag), `protobuf:"`)
		if !ok {
			continue
		}
		tag, _, _ = strings.Cut(tag, `"`)
		kind, rest, _ := strings.Cut(tag, ",")
		number, rest, _ := strings.Cut(rest, ",")
		n, err := strconv.Atoi(number)
		if err != nil {
			panic("record: generated code with the tag " + sf.Tag)
		}
		f := field{known: true, repeated: strings.HasPrefix(rest, "rep,"), oneof: strings.HasSuffix(tag, ",oneof"), zigzag: strings.HasPrefix(kind, "zigzag"), index: i}
		if f.oneof {
			f.index, f.wrapper = oneof, t
		}
		elem := sf.Type
		if f.repeated {
			elem = elem.Elem()
		}
		f.wire, f.elem = wireOf(kind, elem)
		if elem.Kind() == reflect.Pointer {
			f.message = elem.Elem()
		}
		for len(s.fields) <= n {
			s.fields = append(s.fields, field{})
		}
		s.fields[n] = f
	}
}

// wireOf is how an element is encoded, and the bytes that it takes in a Go slice
// or struct.
func wireOf(tag string, t reflect.Type) (protowire.Type, int) {
	switch tag {
	case "bytes":
		return protowire.BytesType, int(t.Size())
	case "fixed32":
		return protowire.Fixed32Type, 4
	case "fixed64":
		return protowire.Fixed64Type, 8
	}
	return protowire.VarintType, 8
}
