package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"floe/lib/record/recordpb"
)

// export prints every record as a line of JSON.
func export(s *source, out io.Writer) error {
	e := &exporter{w: bufio.NewWriter(out)}
	err := s.judge(s.each(func(f frame) error { return e.record(f) }))
	failed := e.w.Flush()
	if e.err != nil {
		failed = e.err
	}
	if failed != nil {
		return outputError(failed)
	}
	return err
}

// exporter writes protobuf's JSON as it goes. protojson builds a document in
// memory, several times as large as a record may be, with spaces at random.
type exporter struct {
	w   *bufio.Writer
	err error // of a write
}

// Fields of Record that get special treatment: the length of the payload is
// always there, filler never.
const (
	payloadLenField = 1
	padField        = 4
)

func (e *exporter) record(f frame) error {
	var rec recordpb.Record
	if err := proto.Unmarshal(f.Encoded(), &rec); err != nil {
		return err
	}
	m := rec.ProtoReflect()
	fmt.Fprintf(e.w, `{"payloadLen":"%d"`, f.Record.PayloadLen)
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		d := fields.Get(i)
		if n := d.Number(); n != payloadLenField && n != padField && m.Has(d) {
			e.w.WriteByte(',')
			e.field(d, m.Get(d))
		}
	}
	_, e.err = e.w.WriteString("}\n")
	return e.err
}

// message writes the fields that are set.
func (e *exporter) message(m protoreflect.Message) {
	e.w.WriteByte('{')
	fields := m.Descriptor().Fields()
	first := true
	for i := range fields.Len() {
		d := fields.Get(i)
		if !m.Has(d) {
			continue
		}
		if !first {
			e.w.WriteByte(',')
		}
		first = false
		e.field(d, m.Get(d))
	}
	e.w.WriteByte('}')
}

func (e *exporter) field(d protoreflect.FieldDescriptor, v protoreflect.Value) {
	e.text(d.JSONName())
	e.w.WriteByte(':')
	if !d.IsList() {
		e.value(d, v)
		return
	}
	list := v.List()
	e.w.WriteByte('[')
	for i := range list.Len() {
		if i > 0 {
			e.w.WriteByte(',')
		}
		e.value(d, list.Get(i))
	}
	e.w.WriteByte(']')
}

// value writes one value. JSON's numbers are floating point: those of 64 bits
// are strings.
func (e *exporter) value(d protoreflect.FieldDescriptor, v protoreflect.Value) {
	switch d.Kind() {
	case protoreflect.MessageKind:
		e.message(v.Message())
	case protoreflect.StringKind:
		e.text(v.String())
	case protoreflect.BytesKind:
		if isName(d) {
			e.text(string(v.Bytes()))
			return
		}
		e.w.WriteByte('"')
		b := base64.NewEncoder(base64.StdEncoding, e.w)
		b.Write(v.Bytes())
		b.Close()
		e.w.WriteByte('"')
	case protoreflect.EnumKind:
		if n := d.Enum().Values().ByNumber(v.Enum()); n != nil {
			e.text(string(n.Name()))
			return
		}
		e.w.WriteString(strconv.Itoa(int(v.Enum())))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		fmt.Fprintf(e.w, `"%d"`, v.Interface())
	default:
		fmt.Fprint(e.w, v.Interface())
	}
}

// pathField is a name that is bytes in lib/record, too.
const pathField = "floe.File.path"

// isName tells bytes that are text in all but a few cases.
func isName(d protoreflect.FieldDescriptor) bool {
	opt, ok := d.Options().(*descriptorpb.FieldOptions)
	return ok && opt != nil && opt.Ctype != nil || d.FullName() == pathField
}

// lowSurrogates is where the bytes go that are not UTF-8: 0x80 becomes U+DC80.
// Python takes that for the byte (PEP 383).
const lowSurrogates = 0xdc00

// text writes a string; what could do something to a terminal is escaped.
func (e *exporter) text(s string) {
	e.w.WriteByte('"')
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)):
			e.escape(lowSurrogates + rune(s[i]))
		case r == '"' || r == '\\':
			e.w.WriteByte('\\')
			e.w.WriteRune(r)
		case unicode.IsPrint(r):
			e.w.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			e.escape(high)
			e.escape(low)
		default:
			e.escape(r)
		}
	}
	e.w.WriteByte('"')
}

func (e *exporter) escape(r rune) {
	const digits = "0123456789abcdef"
	e.w.Write([]byte{'\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15]})
}
