package vdso

import "fmt"

// d_tag values of the dynamic section.
const (
	dtNull    = 0
	dtHash    = 4
	dtStrTab  = 5
	dtSymTab  = 6
	dtStrSz   = 10
	dtSymEnt  = 11
	dtGNUHash = 0x6ffffef5
	dtVerSym  = 0x6ffffff0
	dtVerDef  = 0x6ffffffc
	dtVerDefN = 0x6ffffffd

	dynSize    = 16
	symSize    = 24
	maxDynamic = 64
)

// dynamic is what the dynamic section says. Addresses are offsets already.
type dynamic map[uint64]uint64

// pointers are the tags whose values are addresses.
var pointers = map[uint64]bool{dtHash: true, dtStrTab: true, dtSymTab: true, dtGNUHash: true, dtVerSym: true, dtVerDef: true}

func (im *Image) dynamic(b bytesOf, progs []prog) (dynamic, error) {
	for _, p := range progs {
		if p.kind != ptDynamic {
			continue
		}
		d := dynamic{}
		table := b[p.off : p.off+p.filesz]
		for n := 0; len(table) >= dynSize; table, n = table[dynSize:], n+1 {
			tag, value := le.Uint64(table), le.Uint64(table[8:])
			if tag == dtNull {
				return d, d.check(b)
			}
			if n == maxDynamic {
				break
			}
			if _, twice := d[tag]; twice && pointers[tag] {
				return nil, fmt.Errorf("its dynamic section has tag %#x twice", tag)
			}
			if pointers[tag] {
				value -= im.bias
			}
			d[tag] = value
		}
		return nil, fmt.Errorf("its dynamic section has no end")
	}
	return nil, fmt.Errorf("it has no dynamic section")
}

// check looks at the tables that everything else needs.
func (d dynamic) check(b bytesOf) error {
	if d[dtSymTab] == 0 || d[dtStrTab] == 0 {
		return fmt.Errorf("it has no dynamic symbol table")
	}
	if n := d[dtSymEnt]; n != symSize {
		return fmt.Errorf("its symbols have %d bytes each", n)
	}
	_, err := b.slice(d[dtStrTab], d[dtStrSz], "string table")
	return err
}

// symbolCount is the length of the symbol table: a hash table tells.
func (d dynamic) symbolCount(b bytesOf) (uint64, error) {
	sysv, hasSysv := d[dtHash]
	gnu, hasGNU := d[dtGNUHash]
	var counts []uint64
	if hasSysv {
		head, err := b.slice(sysv, 8, "DT_HASH table")
		if err != nil {
			return 0, err
		}
		buckets, chains := uint64(le.Uint32(head)), uint64(le.Uint32(head[4:]))
		if chains <= maxSymbols {
			if _, err := b.slice(sysv, 8+4*(buckets+chains), "DT_HASH table"); err != nil {
				return 0, err
			}
		}
		counts = append(counts, chains)
	}
	if hasGNU {
		n, err := gnuCount(b, gnu)
		if err != nil {
			return 0, err
		}
		counts = append(counts, n)
	}
	switch {
	case len(counts) == 0:
		return 0, fmt.Errorf("it has no hash table that tells how many symbols there are")
	case counts[0] > maxSymbols:
		return 0, fmt.Errorf("it has %d symbols; %d are a lot", counts[0], maxSymbols)
	case len(counts) == 2 && counts[0] != counts[1]:
		return 0, fmt.Errorf("its hash tables disagree: %d symbols, %d symbols", counts[0], counts[1])
	}
	return counts[0], nil
}

// gnuCount finds the last symbol that a DT_GNU_HASH table names: header of four
// words (buckets, first symbol, words of the Bloom filter, its shift), filter of
// 64-bit words, buckets, chains; the last of a chain has bit 0 set.
func gnuCount(b bytesOf, off uint64) (uint64, error) {
	const what = "DT_GNU_HASH table"
	head, err := b.slice(off, 16, what)
	if err != nil {
		return 0, err
	}
	buckets, first, bloom := uint64(le.Uint32(head)), uint64(le.Uint32(head[4:])), uint64(le.Uint32(head[8:]))
	off += 16 + 8*bloom
	table, err := b.slice(off, 4*buckets, what)
	if err != nil {
		return 0, err
	}
	last := uint64(0)
	for ; len(table) > 0; table = table[4:] {
		last = max(last, uint64(le.Uint32(table)))
	}
	if last == 0 {
		return first, nil
	}
	if last < first {
		return 0, fmt.Errorf("its %s begins with symbol %d and names %d", what, first, last)
	}
	for ; last <= maxSymbols; last++ {
		chain, err := b.slice(off+4*buckets+4*(last-first), 4, what)
		if err != nil {
			return 0, err
		}
		if le.Uint32(chain)&1 != 0 {
			return last + 1, nil
		}
	}
	return last, nil
}
