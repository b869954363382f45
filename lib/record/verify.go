package record

import (
	"bytes"
	"errors"
	"fmt"

	"floe/lib/crc32c"
)

// verifier compares a stream's frames with what the stream says of them.
type verifier struct {
	crc    uint32 // of the magic and all frames
	frames uint64
	bytes  int64 // up to the next frame
	kinds  kinds
	stage  tally
	index  int64 // offset of the Index frame
}

func newVerifier(magic []byte) verifier {
	return verifier{crc: Checksum(magic), bytes: int64(len(magic)), kinds: kinds{}}
}

// frame counts one, and checks it if it says something of those before it.
func (v *verifier) frame(f *Frame) error {
	var err error
	switch b := f.Record.Body.(type) {
	case *Record_EndStage:
		err = v.endStage(b.EndStage)
	case *Record_Index:
		v.index = f.Offset
		err = v.table(b.Index)
	case *Record_End:
		err = v.end(f, b.End)
	default:
		v.stage.add(f.Raw, f.Record.PayloadLen)
	}
	if err != nil {
		return err
	}
	if v.kinds[uint32(f.body)]++; len(v.kinds) > maxKinds {
		return fmt.Errorf("more than %d kinds of records", maxKinds)
	}
	v.frames++
	v.bytes += int64(len(f.Raw)) + int64(f.Record.PayloadLen)
	v.crc = crc32c.Update(v.crc, f.Raw)
	return nil
}

func (v *verifier) endStage(e *EndStage) error {
	if want := (tally{e.Records, e.Bytes, e.Crc32C}); want != v.stage {
		return fmt.Errorf("the records of stage %q don't match what it says of them", e.Stage)
	}
	v.stage = tally{}
	return nil
}

func (v *verifier) table(x *Index) error {
	if v.stage != (tally{}) {
		return errors.New("records that belong to no stage")
	}
	if !v.kinds.equal(x.Kinds) {
		return errors.New("the index does not match the records")
	}
	return nil
}

// mark checks what one stage has given to the next.
func (v *verifier) mark(f *Frame, m *Mark) error {
	if m.Bytes != uint64(v.bytes) || m.Crc32C != v.crc {
		return errors.New("the stream does not match its end-of-input mark")
	}
	return asWritten(f)
}

// end checks the last record.
func (v *verifier) end(f *Frame, e *End) error {
	if e.Records != v.frames || e.Bytes != uint64(v.bytes) || e.Crc32C != v.crc || int64(e.IndexOffset) != v.index {
		return errors.New("the stream does not match its end record")
	}
	return asWritten(f)
}

// asWritten checks a record that is in no checksum: it may have no other form
// than the one that it is written in.
func asWritten(f *Frame) error {
	raw, err := Marshal(f.Record)
	if err != nil || !bytes.Equal(raw, f.Raw) {
		return fmt.Errorf("a damaged %s record", kindName(f.body))
	}
	return nil
}
