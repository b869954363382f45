package kabi

import (
	"encoding/binary"
	"testing"
)

func TestPagemapSizes(t *testing.T) {
	if n := binary.Size(PmScanArg{}); n != 96 || PAGEMAP_SCAN>>16&0x3fff != 96 {
		t.Errorf("struct pm_scan_arg: %d bytes, want 96, the size in the request number", n)
	}
	if n := binary.Size(PageRegion{}); n != 24 {
		t.Errorf("struct page_region: %d bytes, want 24", n)
	}
}
