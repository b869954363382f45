package pages

import (
	"context"
	"fmt"
	"io"
	"os"

	"floe/lib/cli"
	"floe/lib/record"
)

// LoadStream loads the Pages record first, which r has just returned, and all
// that follow, up to the end of the stream, from a pipe. Records that are not
// pages go to add. All checksums have been verified when it returns. An error
// of the image is a cli.BadInput, any other one the system's.
func LoadStream(ctx context.Context, r *record.Reader, first *record.Frame, l *Layout, add func(*record.Record, []byte) error, opt LoadOptions) (*Guards, error) {
	return load(ctx, r, first, l, add, nil, opt)
}

// LoadFile does the same for a regular file, which r reads: workers read the
// payloads themselves, each with its own pread(2).
func LoadFile(ctx context.Context, f *os.File, r *record.Reader, first *record.Frame, l *Layout, add func(*record.Record, []byte) error, opt LoadOptions) (*Guards, error) {
	return load(ctx, r, first, l, add, f, opt)
}

func load(ctx context.Context, r *record.Reader, first *record.Frame, l *Layout, add func(*record.Record, []byte) error, f *os.File, opt LoadOptions) (*Guards, error) {
	in := &input{r: r, f: f, add: add}
	var file io.ReaderAt
	if f != nil {
		at, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		in.base, file = at-r.Consumed(), f
	}
	in.loader = newLoader(ctx, l, file, opt)
	err := in.loader.finish(in.run(first))
	if err != nil {
		return nil, err
	}
	return &in.loader.guards, nil
}

// input takes frames from the reader and gives them to the loader.
type input struct {
	r      *record.Reader
	f      *os.File // nil: not a regular file
	base   int64    // file offset of the stream's start
	add    func(*record.Record, []byte) error
	loader *loader
}

func (in *input) run(frame *record.Frame) error {
	var err error
	for {
		if p := frame.Record.GetPages(); p != nil {
			err = in.pages(frame, p)
		} else {
			err = in.other(frame)
		}
		if err != nil {
			return err
		}
		if frame, err = in.r.Next(); err == io.EOF {
			return nil
		} else if err != nil {
			return cli.BadInput(err)
		}
	}
}

func (in *input) pages(frame *record.Frame, p *record.Pages) error {
	j := job{
		pages: p, crc: frame.Record.PayloadCrc32C, size: int(frame.Record.PayloadLen),
		off: in.base + frame.PayloadOffset,
	}
	if err := in.loader.layout.Check(p, frame.Record.PayloadLen); err != nil {
		return cli.BadInput(fmt.Errorf("at offset %d: %w", frame.Offset, err))
	}
	if in.f != nil && j.size > 0 {
		if err := in.r.SkipPayload(in.f); err != nil {
			return err
		}
	} else if j.size > 0 {
		var err error
		if j.buf, err = in.payload(j.size); err != nil {
			return err
		}
	}
	return in.loader.submit(j)
}

// payload reads a payload into a buffer that no worker has.
func (in *input) payload(size int) ([]byte, error) {
	var b []byte
	select {
	case b = <-in.loader.free:
	case <-in.loader.ctx.Done():
		return nil, context.Cause(in.loader.ctx)
	}
	b = sized(b, uint64(size))
	// Not io.ReadFull: a bad checksum comes with the last byte.
	for r, n := in.r.PayloadReader(), 0; n < size; {
		k, err := r.Read(b[n:size])
		if err != nil {
			return nil, cli.BadInput(err)
		}
		n += k
	}
	return b[:size], nil
}

func (in *input) other(frame *record.Frame) error {
	payload, err := in.r.Payload()
	if err == nil {
		err = in.add(frame.Record, payload)
	}
	if err != nil {
		return cli.BadInput(err)
	}
	return nil
}
