package record

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"floe/lib/record/recordpb"
)

// random fills a message with values, those at the edges among them.
func random(rnd *rand.Rand, m protoreflect.Message) {
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
					random(rnd, l.AppendMutable().Message())
				} else {
					l.Append(scalar(rnd, fd))
				}
			}
		case fd.Message() != nil:
			random(rnd, m.Mutable(fd).Message())
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

// canonical is protobuf's own encoding.
func canonical(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// equal compares the structs of the two generators: what a field of one has, the
// field of that name has in the other.
func equal(ours, theirs reflect.Value) bool {
	switch ours.Kind() {
	case reflect.String: // names are bytes there
		if theirs.Kind() == reflect.Slice {
			return ours.String() == string(theirs.Bytes())
		}
	case reflect.Interface, reflect.Pointer:
		return ours.IsNil() == theirs.IsNil() && (ours.IsNil() || equal(ours.Elem(), theirs.Elem()))
	case reflect.Slice:
		if ours.Len() != theirs.Len() {
			return false
		}
		for i := range ours.Len() {
			if !equal(ours.Index(i), theirs.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Struct:
		for i := range ours.NumField() {
			f := ours.Type().Field(i)
			if !f.IsExported() {
				continue
			}
			if other := theirs.FieldByName(f.Name); !other.IsValid() || !equal(ours.Field(i), other) {
				return false
			}
		}
		return ours.Type().Name() == theirs.Type().Name()
	case reflect.Int32: // enums have types of their own
		return ours.Int() == theirs.Int()
	}
	return ours.Equal(theirs)
}

func isEqual(ours *Record, theirs *recordpb.Record) bool {
	return equal(reflect.ValueOf(ours), reflect.ValueOf(theirs))
}

// TestCodec compares with protobuf's own code: every kind of record, many values.
func TestCodec(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	kinds := map[string]bool{}
	for range 5000 {
		rec := &recordpb.Record{}
		random(rnd, rec.ProtoReflect())
		want := canonical(t, rec)
		back := &Record{}
		d, err := decodeRecord(want, back)
		if err != nil || !isEqual(back, rec) || d.unknown {
			t.Fatalf("decoded: %v, %+v\n%+v, want\n%v", err, d, back, rec)
		}
		got, err := Encode(back)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%v\nencoded: %v\n%x, want\n%x", rec, err, got, want)
		}
		if back.Kind() != kindName(d.body) || back.Size() != len(want) || (&Record{Body: back.Body}).Size() > len(want) {
			t.Fatalf("%v: kind %s, body %d, %d bytes", rec, back.Kind(), d.body, back.Size())
		}
		kinds[back.Kind()] = true
	}
	if len(kinds) < 15 {
		t.Errorf("only records of kinds %v", kinds)
	}
}

// TestNotEqual makes sure that the comparison of TestCodec can fail: any value
// that is changed is seen.
func TestNotEqual(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	for range 200 {
		a, b := &recordpb.Record{}, &recordpb.Record{}
		random(rnd, a.ProtoReflect())
		random(rnd, b.ProtoReflect())
		back := &Record{}
		if err := Decode(canonical(t, a), back); err != nil {
			t.Fatal(err)
		}
		if isEqual(back, b) != proto.Equal(a, b) {
			t.Fatalf("%v and %v: equal is %v", a, b, isEqual(back, b))
		}
	}
}

// TestCodecOdd gives both what is out of the ordinary: unknown fields, fields
// that come twice or in another form, texts that are none, and damage.
func TestCodecOdd(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	decoded := 0
	for i := range 20000 {
		rec := &recordpb.Record{}
		random(rnd, rec.ProtoReflect())
		b := canonical(t, rec)
		switch i % 5 {
		case 0:
			b = protowire.AppendVarint(protowire.AppendTag(b, 1000, protowire.VarintType), 7)
		case 1:
			b = twice(b)
		case 2:
			if len(b) > 0 {
				b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
			}
		case 3:
			b = b[:rnd.IntN(len(b)+1)]
		case 4:
			b = unpack(t, b)
		}
		if same(t, b) {
			decoded++
		}
	}
	if decoded < 5000 {
		t.Errorf("only %d of 20000 were records", decoded)
	}
}

// twice has the contents of the body two times: lists grow, messages are merged,
// the last number stands.
func twice(b []byte) []byte {
	for rest := b; len(rest) > 0; {
		num, typ, n := protowire.ConsumeField(rest)
		if n < 0 {
			return b
		}
		if num >= firstBody && typ == protowire.BytesType {
			inner, _ := protowire.ConsumeBytes(rest[protowire.SizeTag(num):])
			out := protowire.AppendTag(bytes.Clone(b[:len(b)-len(rest)]), num, typ)
			return append(protowire.AppendBytes(out, append(bytes.Clone(inner), inner...)), rest[n:]...)
		}
		rest = rest[n:]
	}
	return b
}

// unpack writes a task's list of numbers one by one, which means the same.
func unpack(t *testing.T, b []byte) []byte {
	rec := &recordpb.Record{}
	if err := proto.Unmarshal(b, rec); err != nil {
		t.Fatal(err)
	}
	task := rec.GetTask()
	if task == nil {
		task = &recordpb.Task{Tids: []int32{5, -1, 0}}
		rec.Body = &recordpb.Record_Task{Task: task}
	}
	tids := task.Tids
	task.Tids = nil
	body := canonical(t, task)
	for _, x := range tids {
		body = protowire.AppendVarint(protowire.AppendTag(body, 5, protowire.VarintType), protowire.EncodeZigZag(int64(x)))
	}
	return protowire.AppendBytes(protowire.AppendTag(nil, 32, protowire.BytesType), body)
}

// same compares the decoders, and what is encoded again. It tells whether there
// was something to compare.
func same(t *testing.T, b []byte) bool {
	t.Helper()
	want, got := &recordpb.Record{}, &Record{}
	werr := proto.Unmarshal(b, want)
	_, gerr := decodeRecord(b, got)
	if gerr == errTwoBodies {
		return false // ours is narrower
	}
	if werr == nil && gerr == errMalformed && hasGroup(b) {
		return false
	}
	if (werr == nil) != (gerr == nil) {
		t.Fatalf("%x: %v, protobuf says %v", b, gerr, werr)
	}
	if werr != nil {
		return false
	}
	if !isEqual(got, want) {
		t.Fatalf("%x:\n%+v, want\n%v", b, got, want)
	}
	gb, err := Encode(got)
	wb := canonical(t, want)
	if err == nil && !bytes.Equal(gb, wb) { // protobuf writes an unknown field's tag anew, in its shortest form
		again := &recordpb.Record{}
		if err = proto.Unmarshal(gb, again); err == nil {
			gb = canonical(t, again)
		}
	}
	if err != nil || !bytes.Equal(gb, wb) {
		t.Fatalf("%x encoded: %v, %x; want %x", b, err, gb, wb)
	}
	return true
}

// hasGroup tells whether a field somewhere in b is a group, or b is none of
// protobuf's messages: the format has no groups.
func hasGroup(b []byte) bool {
	for len(b) > 0 {
		_, typ, n := protowire.ConsumeTag(b)
		if n < 0 || typ == protowire.StartGroupType || typ == protowire.EndGroupType {
			return true
		}
		size := protowire.ConsumeFieldValue(1, typ, b[n:])
		if size < 0 {
			return true
		}
		if typ == protowire.BytesType {
			if inner, k := protowire.ConsumeBytes(b[n:]); k > 0 && hasGroup(inner) {
				return true
			}
		}
		b = b[n+size:]
	}
	return false
}

// TestSizes compares the sizes that the generator computes with the compiler's.
func TestSizes(t *testing.T) {
	for name, c := range map[string][2]uintptr{
		"Record":       {sizeRecord, reflect.TypeFor[Record]().Size()},
		"Header":       {sizeHeader, reflect.TypeFor[Header]().Size()},
		"Cpu":          {sizeCpu, reflect.TypeFor[Cpu]().Size()},
		"Task":         {sizeTask, reflect.TypeFor[Task]().Size()},
		"Thread":       {sizeThread, reflect.TypeFor[Thread]().Size()},
		"RegsAmd64":    {sizeRegsAmd64, reflect.TypeFor[RegsAmd64]().Size()},
		"Restart":      {sizeRestart, reflect.TypeFor[Restart]().Size()},
		"Creds":        {sizeCreds, reflect.TypeFor[Creds]().Size()},
		"Sched":        {sizeSched, reflect.TypeFor[Sched]().Size()},
		"SigInfo":      {sizeSigInfo, reflect.TypeFor[SigInfo]().Size()},
		"PosixTimer":   {sizePosixTimer, reflect.TypeFor[PosixTimer]().Size()},
		"Vma":          {sizeVma, reflect.TypeFor[Vma]().Size()},
		"File":         {sizeFile, reflect.TypeFor[File]().Size()},
		"Vdso":         {sizeVdso, reflect.TypeFor[Vdso]().Size()},
		"Vdso_Symbol":  {sizeVdso_Symbol, reflect.TypeFor[Vdso_Symbol]().Size()},
		"OpenFile":     {sizeOpenFile, reflect.TypeFor[OpenFile]().Size()},
		"Epoll_Target": {sizeOpenFile_Epoll_Target, reflect.TypeFor[OpenFile_Epoll_Target]().Size()},
		"FileLock":     {sizeFileLock, reflect.TypeFor[FileLock]().Size()},
		"Pages":        {sizePages, reflect.TypeFor[Pages]().Size()},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: %d bytes, not %d", name, c[1], c[0])
		}
	}
}

func FuzzCodec(f *testing.F) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for range 50 {
		rec := &recordpb.Record{}
		random(rnd, rec.ProtoReflect())
		f.Add(canonical(f, rec))
	}
	f.Fuzz(func(t *testing.T, b []byte) { same(t, b) })
}
