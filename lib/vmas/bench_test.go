package vmas

import (
	"io"
	"testing"

	"floe/lib/record"
)

// BenchmarkCollect takes the maps of a process of no size, of one with 20,000
// mappings, and of one with 1 GiB of small pages, and writes them to a stream.
func BenchmarkCollect(b *testing.B) {
	for _, kind := range []string{"none", "many", "large"} {
		b.Run(kind, func(b *testing.B) {
			v := kinds(b, kind)
			im := tree(b, v.pid)
			b.ReportAllocs()
			for b.Loop() {
				w := record.NewWriter(io.Discard)
				err := Collect(im, func(r *record.Record) error { return w.Add(r, nil) }, func(string, ...any) {})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
