package record

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// random fills a message with values, those at the edges among them.
func random(rnd *rand.Rand, m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	var oneof protoreflect.FieldDescriptor
	if o := m.Descriptor().Oneofs(); o.Len() > 0 {
		members := o.Get(0).Fields()
		oneof = members.Get(rnd.IntN(members.Len()))
	}
	for i := range fields.Len() {
		fd := fields.Get(i)
		if fd.ContainingOneof() != nil && fd != oneof || rnd.IntN(4) == 0 && fd != oneof {
			continue
		}
		switch {
		case fd.IsList():
			l := m.Mutable(fd).List()
			for range rnd.IntN(4) {
				if fd.Message() != nil {
					random(rnd, l.AppendMutable().Message(), depth+1)
				} else {
					l.Append(scalar(rnd, fd))
				}
			}
		case fd.Message() != nil:
			random(rnd, m.Mutable(fd).Message(), depth+1)
		default:
			m.Set(fd, scalar(rnd, fd))
		}
	}
}

func scalar(rnd *rand.Rand, fd protoreflect.FieldDescriptor) protoreflect.Value {
	x := []uint64{0, 1, 127, 128, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 63, 1<<64 - 1, rnd.Uint64()}[rnd.IntN(10)]
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(x&1 == 1)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(int32(x)))
	case protoreflect.Sint32Kind, protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(x))
	case protoreflect.Sint64Kind, protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(int64(x))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(x))
	case protoreflect.StringKind:
		return protoreflect.ValueOfString([]string{"", "a", "ä€😀", "\x00"}[x%4])
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(bytes.Repeat([]byte{byte(x)}, int(x%300)))
	}
	return protoreflect.ValueOfUint64(x)
}

// TestCodec compares with protobuf's own code: every kind of record, many values.
func TestCodec(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	kinds := map[string]bool{}
	for range 5000 {
		rec := &Record{}
		random(rnd, rec.ProtoReflect(), 0)
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(rec)
		if err != nil {
			t.Fatal(err)
		}
		got, err := marshal(nil, rec)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%v\nencoded: %v\n%x, want\n%x", rec, err, got, want)
		}
		back := &Record{}
		if err := unmarshal(want, back); err != nil || !proto.Equal(back, rec) {
			t.Fatalf("decoded: %v\n%v, want\n%v", err, back, rec)
		}
		kinds[rec.Kind()] = true
	}
	if len(kinds) < 15 {
		t.Errorf("only records of kinds %v", kinds)
	}
}

// TestCodecOdd gives both what is out of the ordinary: unknown fields, fields
// that come twice or in another form, texts that are none, and damage.
func TestCodecOdd(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for i := range 20000 {
		rec := &Record{}
		random(rnd, rec.ProtoReflect(), 0)
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(rec)
		if err != nil {
			t.Fatal(err)
		}
		switch i % 4 {
		case 0:
			b = protowire.AppendVarint(protowire.AppendTag(b, 1000, protowire.VarintType), 7)
		case 1:
			b = append(b, b...)
		case 2:
			if len(b) > 0 {
				b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
			}
		case 3:
			b = b[:rnd.IntN(len(b)+1)]
		}
		same(t, b)
	}
}

// same compares the decoders, and what is encoded again.
func same(t *testing.T, b []byte) {
	t.Helper()
	if _, err := scan(b); err != nil {
		return // it never gets further
	}
	want, got := &Record{}, &Record{}
	werr, gerr := proto.Unmarshal(b, want), unmarshal(b, got)
	if (werr == nil) != (gerr == nil) {
		t.Fatalf("%x: %v, protobuf says %v", b, gerr, werr)
	}
	if werr != nil {
		return
	}
	if !proto.Equal(got, want) {
		t.Fatalf("%x:\n%v, want\n%v", b, got, want)
	}
	wb, werr := proto.MarshalOptions{Deterministic: true}.Marshal(want)
	gb, gerr := marshal(nil, got)
	if gerr == errOdd {
		return
	}
	if (werr == nil) != (gerr == nil) || !bytes.Equal(gb, wb) {
		t.Fatalf("%x encoded: %v, %x; want %v, %x", b, gerr, gb, werr, wb)
	}
}

func FuzzCodec(f *testing.F) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for range 50 {
		rec := &Record{}
		random(rnd, rec.ProtoReflect(), 0)
		b, err := proto.Marshal(rec)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) { same(t, b) })
}
