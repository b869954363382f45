package badinput

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"floe/lib/record"
	"floe/tests/harness"
)

// codes are the statuses for a damaged stream whose freeze is gone: a stage may
// find that out first.
func (r reader) codes() []int {
	if r.isStage() {
		return []int{badInput, failed}
	}
	return []int{badInput}
}

// TestNoStream gives every program what is no stream at all.
func TestNoStream(t *testing.T) {
	random := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{1}).Read(random)
	inputs := map[string][]byte{
		"empty": nil, "newline": []byte("\n"), "text": []byte(strings.Repeat("root:x:0:0:root:/root:/bin/bash\n", 50)),
		"zeros": make([]byte, 1<<20), "random": random, "magic only": wholeImage(t)[:8], "half a magic": wholeImage(t)[:3],
		"newer format":  append([]byte("FLOE\x00\x63\x00\x00"), wholeImage(t)[8:]...),
		"endless frame": append(bytes.Clone(wholeImage(t)[:8]), bytes.Repeat([]byte{0xff}, 1<<20)...),
		"huge frame":    append(bytes.Clone(wholeImage(t)[:8]), 0xff, 0xff, 0xff, 0xff, 0x0f),
	}
	for _, r := range readers {
		for name, input := range inputs {
			t.Run(r.String()+"/"+name, func(t *testing.T) {
				judge(t, r.program, feed(t, r.program, r.args, input), badInput)
			})
		}
	}
}

// TestCut cuts an image at every record, and in the middle of every one.
func TestCut(t *testing.T) {
	image := wholeImage(t)
	for _, r := range readers {
		t.Run(r.String(), func(t *testing.T) {
			for _, f := range frames(t, image) {
				for _, at := range []int64{f.Offset, f.Offset + int64(len(f.Raw))/2, (f.PayloadOffset + f.end) / 2} {
					if at >= int64(len(image)) || r.isStage() && f.Offset > 10_000 && at != f.Offset {
						continue
					}
					judge(t, r.program, feed(t, r.program, r.args, image[:at]), r.codes()...)
				}
			}
			nothingLeft(t)
		})
	}
}

// TestFlip flips a bit in every record, and in every payload.
func TestFlip(t *testing.T) {
	image := wholeImage(t)
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, r := range readers {
		t.Run(r.String(), func(t *testing.T) {
			for _, f := range frames(t, image) {
				places := []int64{f.Offset + rnd.Int64N(int64(len(f.Raw)))}
				if f.end > f.PayloadOffset {
					places = append(places, f.PayloadOffset+rnd.Int64N(f.end-f.PayloadOffset))
				}
				for _, at := range places {
					bad := bytes.Clone(image)
					bit := byte(1) << rnd.IntN(8)
					bad[at] ^= bit
					judge(t, r.program, feed(t, r.program, r.args, bad), r.codes()...)
					if t.Failed() {
						t.Fatalf("bit %#x at %d, of the record %.60v at %d", bit, at, f.Record, f.Offset)
					}
				}
			}
			nothingLeft(t)
		})
	}
}

// TestWrong gives whole streams that can't be used here.
func TestWrong(t *testing.T) {
	image := wholeImage(t)
	foreign := rebuild(t, image, func(_ int, r *record.Record) bool {
		if h := r.GetHeader(); h != nil {
			h.Arch = "s390x"
		}
		return true
	})
	for _, r := range []reader{{"restore", []string{"-d"}}, {"vmadump", nil}, {"pagedump", nil}} {
		t.Run("architecture/"+r.String(), func(t *testing.T) {
			if got := judge(t, r.program, feed(t, r.program, r.args, foreign), badInput, failed); !strings.Contains(got.line, "s390x") && !r.isStage() {
				t.Errorf("it doesn't name the architecture: %s", got.line)
			}
		})
	}
	for n, stage := range append([]string{"freeze"}, stages...) {
		t.Run("restore without "+stage, func(t *testing.T) {
			bad := rebuild(t, image, func(at int, r *record.Record) bool { return at != n || r.GetHeader() != nil })
			if got := judge(t, "restore", feed(t, "restore", []string{"-d"}, bad), badInput); !strings.Contains(got.line, stage) {
				t.Errorf("it doesn't name %s: %s", stage, got.line)
			}
		})
	}
	t.Run("restore twice the same image", func(t *testing.T) {
		judge(t, "restore", feed(t, "restore", []string{"-d"}, append(bytes.Clone(image), image...)), badInput)
	})
	nothingLeft(t)
}

// nothingLeft makes sure that no process has come of it.
func nothingLeft(t *testing.T) {
	t.Helper()
	if s := harness.Strangers(); len(s) > 0 {
		t.Errorf("processes left behind:\n%s", strings.Join(s, "\n"))
	}
}
