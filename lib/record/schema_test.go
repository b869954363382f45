package record

import (
	"reflect"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// TestShapes compares what the tags say with protobuf's descriptors.
func TestShapes(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var check func(m protoreflect.Message)
	check = func(m protoreflect.Message) {
		typ := reflect.TypeOf(m.Interface()).Elem()
		if seen[typ] {
			return
		}
		seen[typ] = true
		s, n := shapeOf(typ), 0
		for _, f := range s.fields {
			if f.known {
				n++
			}
		}
		fields := m.Descriptor().Fields()
		if n != fields.Len() {
			t.Errorf("%s: %d fields, want %d", typ, n, fields.Len())
		}
		for i := range fields.Len() {
			fd := fields.Get(i)
			f := s.fields[fd.Number()]
			if f.repeated != fd.IsList() || f.oneof != (fd.ContainingOneof() != nil) || (f.message != nil) != (fd.Message() != nil) || f.elem == 0 {
				t.Errorf("%s: %+v", fd.FullName(), f)
			}
			if fd.Message() == nil {
				continue
			}
			v := m.New().NewField(fd)
			if fd.IsList() {
				check(v.List().NewElement().Message())
			} else {
				check(v.Message())
			}
		}
	}
	check((*Record)(nil).ProtoReflect().New())
	if len(seen) < 30 {
		t.Errorf("%d kinds of messages are too few", len(seen))
	}
}
