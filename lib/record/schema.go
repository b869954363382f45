package record

import (
	"reflect"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// shape is what scan has to know of a message: which fields it has, and what
// they take in memory.
type shape struct {
	size   int // bytes of the Go struct
	fields []field
}

type field struct {
	known    bool
	repeated bool
	oneof    bool
	wire     protowire.Type // of one element
	elem     int            // bytes of one element in Go memory
	message  *shape
}

// shapeOfRecord is made when it is first needed, from the generated code.
var shapeOfRecord = sync.OnceValue(func() *shape {
	return shapeOf((*Record)(nil).ProtoReflect(), map[protoreflect.FullName]*shape{})
})

func shapeOf(m protoreflect.Message, done map[protoreflect.FullName]*shape) *shape {
	d := m.Descriptor()
	if s := done[d.FullName()]; s != nil {
		return s
	}
	s := &shape{size: int(reflect.TypeOf(m.Interface()).Elem().Size())}
	done[d.FullName()] = s
	m = m.New()
	for i := range d.Fields().Len() {
		fd := d.Fields().Get(i)
		f := field{known: true, repeated: fd.IsList(), oneof: fd.ContainingOneof() != nil}
		f.wire, f.elem = wireOf(fd.Kind())
		if fd.Kind() == protoreflect.MessageKind {
			v := m.NewField(fd)
			if fd.IsList() {
				f.message = shapeOf(v.List().NewElement().Message(), done)
			} else {
				f.message = shapeOf(v.Message(), done)
			}
		}
		n := int(fd.Number())
		for len(s.fields) <= n {
			s.fields = append(s.fields, field{})
		}
		s.fields[n] = f
	}
	return s
}

// wireOf is how an element of a kind is encoded, and the bytes that it takes in
// a Go slice or struct.
func wireOf(k protoreflect.Kind) (protowire.Type, int) {
	switch k {
	case protoreflect.BytesKind:
		return protowire.BytesType, 24
	case protoreflect.StringKind:
		return protowire.BytesType, 16
	case protoreflect.MessageKind:
		return protowire.BytesType, 8
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return protowire.Fixed32Type, 4
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return protowire.Fixed64Type, 8
	}
	return protowire.VarintType, 8
}
