package main

import (
	"fmt"
	"io"

	"github.com/pierrec/lz4/v4"

	"floe/lib/cli"
	"floe/lib/pages"
	"floe/lib/record"
	"floe/lib/verdict"
)

// verifier checks what a reader of records can't: what they say of each other.
type verifier struct {
	*source
	saved  *tally
	places places
	plain  []byte // where pages are unpacked to
	// Where pages may go, once the records that come before them are judged.
	layout *pages.Layout
}

// verify reads everything, and prints one line when all is well.
func verify(s *source, out io.Writer, log *cli.Logger) error {
	s.keep, s.whole = true, true
	v := &verifier{source: s, saved: newTally()}
	progress := log.Progress("verified", max(s.size, 0))
	err := s.judge(s.each(func(f frame) error {
		progress.Add(len(f.Raw) + int(f.Record.PayloadLen))
		return v.record(f)
	}))
	progress.Done()
	if err == nil {
		err = s.references(v.whole())
	}
	if err != nil || log.Quiet {
		return err
	}
	p := cli.NewPrinter(out)
	p.Line("%s: good: %s, %s, %s, %s of pages; checksums, references, stages, pages and index are right",
		s.name, cli.Count(len(s.im.Tasks), "task"), cli.Count(s.records, "record"), cli.Bytes(uint64(s.pos)), cli.Bytes(v.saved.total[data]*pageSize))
	return outputError(p.Flush())
}

func (v *verifier) record(f frame) error {
	if x := f.Record.GetIndex(); x != nil {
		return v.places.check(x)
	}
	p := f.Record.GetPages()
	if p == nil {
		return nil
	}
	if err := v.restorable(); err != nil {
		return err
	}
	if err := v.layout.Check(p, f.Record.PayloadLen); err != nil {
		return err
	}
	if err := v.saved.add(v.im, f); err != nil {
		return err
	}
	v.places.add(f.Offset, p)
	if p.Encoding == record.Pages_LZ4 {
		return v.unpack(p, f.payload)
	}
	return nil
}

// unpack makes sure that compressed pages can be had back.
func (v *verifier) unpack(p *record.Pages, payload []byte) error {
	if v.plain == nil {
		v.plain = make([]byte, pages.BlockSize)
	}
	want := 0
	for _, r := range p.Runs {
		want += int(r.Pages) * pages.PageSize
	}
	if n, err := lz4.UncompressBlock(payload, v.plain[:want]); err != nil || n != want {
		return fmt.Errorf("an lz4 block that gives %d bytes of %d: %v", n, want, err)
	}
	return nil
}

// restorable checks all records but those of pages, as restore does, once.
func (v *verifier) restorable() error {
	if v.layout != nil {
		return nil
	}
	v.layout = pages.ImageLayout(v.im)
	return verdict.Check(v.im)
}

// whole checks what can be told only at the end.
func (v *verifier) whole() error {
	if err := v.restorable(); err != nil {
		return err
	}
	if err := v.im.Validate(); err != nil {
		return err
	}
	return v.saved.once()
}
