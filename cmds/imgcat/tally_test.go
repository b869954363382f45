package main

import (
	"strings"
	"testing"

	"floe/lib/cli"
	"floe/lib/image"
	"floe/lib/record"
)

// tallied is an image with four mappings of two pages each: three that touch
// each other, the second of a file, and one apart, which is not saved. A page of
// a shared object comes on top.
func tallied(t *testing.T) *image.Image {
	t.Helper()
	im := image.New()
	for _, r := range []*record.Record{
		{Body: &record.Record_Header{Header: &record.Header{}}},
		{Body: &record.Record_Vma{Vma: &record.Vma{MmId: 1, Start: 0x1000, End: 0x3000}}},
		{Body: &record.Record_Vma{Vma: &record.Vma{MmId: 1, Start: 0x3000, End: 0x5000, Kind: record.Vma_FILE_PRIVATE}}},
		{Body: &record.Record_Vma{Vma: &record.Vma{MmId: 1, Start: 0x5000, End: 0x7000}}},
		{Body: &record.Record_Vma{Vma: &record.Vma{MmId: 1, Start: 0x7000, End: 0x9000, Flags: []string{"dp"}}}},
		{Body: &record.Record_Vma{Vma: &record.Vma{MmId: 1, Start: 0xa000, End: 0xb000, Kind: record.Vma_ANON_SHARED, ShmemId: 5, ShmemSize: 100}}},
	} {
		if err := im.Add(r, nil); err != nil {
			t.Fatal(err)
		}
	}
	return im
}

// add counts a record of pages.
func add(tl *tally, im *image.Image, p *record.Pages, payload uint64) error {
	return tl.add(im, frame{Frame: &record.Frame{Record: &record.Record{PayloadLen: payload, Body: &record.Record_Pages{Pages: p}}}})
}

func run1(vaddr, pages uint64) []*record.Pages_Run {
	return []*record.Pages_Run{{Vaddr: vaddr, Pages: pages}}
}

func TestTally(t *testing.T) {
	im, tl := tallied(t), newTally()
	for _, p := range []*record.Pages{
		{MmId: 1, Runs: run1(0x2000, 4)}, {MmId: 1, Runs: run1(0x1000, 1)},
		{MmId: 1, Runs: run1(0x6000, 1), Encoding: record.Pages_GUARD}, {ShmemId: 5, Runs: run1(0, 1), Encoding: record.Pages_ZERO},
	} {
		n := uint64(0)
		if p.Encoding == record.Pages_RAW {
			n = p.Runs[0].Pages * pageSize
		}
		if err := add(tl, im, p, n); err != nil {
			t.Error(err)
		}
	}
	for i, want := range [][classes]uint64{{2, 0, 0}, {2, 0, 0}, {1, 0, 1}} {
		if got := tl.spaces[1].pages(i); got != want {
			t.Errorf("mapping %d: %v, want %v", i, got, want)
		}
	}
	if tl.total != [classes]uint64{5, 1, 1} || tl.objects[5].pages != [classes]uint64{0, 1, 0} || tl.stored != 5*pageSize {
		t.Errorf("%+v", tl)
	}
	if err := tl.once(); err != nil {
		t.Error(err)
	}
}

func TestTallyRefuses(t *testing.T) {
	for _, test := range []struct {
		p       *record.Pages
		payload uint64
		says    string
	}{
		{&record.Pages{MmId: 1, Runs: run1(0, 1)}, 4096, "in no mapping"},
		{&record.Pages{MmId: 1, Runs: run1(0x6000, 2)}, 8192, "in no mapping"},
		{&record.Pages{MmId: 1, Runs: run1(0x7000, 1)}, 4096, "in no mapping"},
		{&record.Pages{MmId: 1, Runs: run1(0x20000, 1)}, 4096, "in no mapping"},
		{&record.Pages{MmId: 2, Runs: run1(0x1000, 1)}, 4096, "in no mapping"},
		{&record.Pages{MmId: 1, ShmemId: 5, Runs: run1(0x1000, 1)}, 4096, "only be of one"},
		{&record.Pages{ShmemId: 5, Runs: run1(0x1000, 1)}, 4096, "which it doesn't have"},
		{&record.Pages{ShmemId: 6, Runs: run1(0, 1)}, 4096, "which it doesn't have"},
		{&record.Pages{MmId: 1, Runs: run1(0x1001, 1)}, 4096, "impossible run"},
		{&record.Pages{MmId: 1, Runs: run1(0x1000, 0)}, 0, "impossible run"},
		{&record.Pages{MmId: 1, Runs: run1(1<<63, 1)}, 4096, "impossible run"},
		{&record.Pages{MmId: 1, Runs: run1(0x1000, 1<<60), Encoding: record.Pages_ZERO}, 0, "impossible run"},
		{&record.Pages{MmId: 1, Runs: append(run1(0x1000, maxPage), run1(0x1000, maxPage)...), Encoding: record.Pages_ZERO}, 0, "more pages than"},
		{&record.Pages{MmId: 1, Runs: run1(0x1000, 1)}, 4095, "4095 bytes for 1 pages"},
		{&record.Pages{MmId: 1, Runs: run1(0x1000, 257)}, 257 * 4096, "for 257 pages"},
		{&record.Pages{MmId: 1, Runs: run1(0x1000, 1), Encoding: record.Pages_LZ4}, 4096, "in encoding LZ4"},
		{&record.Pages{MmId: 1, Runs: run1(0x1000, 1), Encoding: record.Pages_ZERO}, 1, "in encoding ZERO"},
		{&record.Pages{MmId: 1, Runs: run1(0x1000, 1), Encoding: 9}, 1, "encoding 9"},
	} {
		if err := add(newTally(), tallied(t), test.p, test.payload); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%v: %v, want %q", test.p, err, test.says)
		}
	}
}

func TestTallyTwice(t *testing.T) {
	for _, p := range []*record.Pages{{MmId: 1, Runs: run1(0x2000, 5), Encoding: record.Pages_ZERO}, {ShmemId: 5, Runs: run1(0, 1), Encoding: record.Pages_ZERO}} {
		im, tl := tallied(t), newTally()
		for i := range 2 {
			if err := add(tl, im, p, 0); err != nil {
				t.Fatal(i, err)
			}
		}
		if err := tl.once(); err == nil || !strings.Contains(err.Error(), "there twice") {
			t.Errorf("%v: %v", p, err)
		}
	}
}

func TestIndex(t *testing.T) {
	var l places
	for i, mm := range []uint64{1, 1, 1, 2} {
		l.add(int64(100*i), &record.Pages{MmId: mm, Runs: run1(uint64(i)<<12, 2)})
	}
	block := func(mm, offset, vaddr, pages uint64) *record.Index_PageBlock {
		return &record.Index_PageBlock{MmId: mm, Offset: offset, Vaddr: vaddr, Pages: pages}
	}
	last := block(2, 300, 0x3000, 2)
	for _, test := range []struct {
		blocks []*record.Index_PageBlock
		says   string
	}{
		{[]*record.Index_PageBlock{block(1, 0, 0, 4), block(1, 200, 0x2000, 2), last}, ""},
		{[]*record.Index_PageBlock{block(1, 0, 0, 6), last}, ""},
		{[]*record.Index_PageBlock{block(1, 0, 0, 6)}, "lacks the pages at 300"},
		{[]*record.Index_PageBlock{block(1, 0, 0, 4), last}, "where no block begins"},
		{[]*record.Index_PageBlock{block(1, 0, 0, 8), last}, "which the records there don't have"},
		{[]*record.Index_PageBlock{block(1, 0, 0, 5), last}, "which the records there don't have"},
		{[]*record.Index_PageBlock{block(1, 1, 0, 6), last}, "where no block begins"},
		{[]*record.Index_PageBlock{block(1, 0, 0x1000, 6), last}, "not the ones there"},
		{[]*record.Index_PageBlock{block(2, 0, 0, 6), last}, "not the ones there"},
		{[]*record.Index_PageBlock{block(1, 0, 0, 0), last}, "where no block begins"},
		{[]*record.Index_PageBlock{block(1, 0, 0, 6), last, last}, "where no block begins"},
		{[]*record.Index_PageBlock{block(1, 0, 0, 6), last, block(2, 1<<63, 0, 1)}, "where no block begins"},
	} {
		err := l.check(&record.Index{Blocks: test.blocks})
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%v: %v, want %q", test.blocks, err, test.says)
		}
	}
}

func TestHuman(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 4096: "4 KiB", 12629: "12.3 KiB", 1 << 20: "1 MiB", 3 << 19: "1.5 MiB", 1<<30 - 1: "1024 MiB", 1<<64 - 1: "16 EiB"} {
		if got := cli.Bytes(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
