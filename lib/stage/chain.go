package stage

import (
	"fmt"
	"slices"

	"floe/lib/cli"
	"floe/lib/lease"
	"floe/lib/record"
)

// wrote is what an end-of-stage record says, as the lease has it.
func wrote(e *record.EndStage) lease.Wrote {
	return lease.Wrote{Records: e.Records, Bytes: e.Bytes, CRC32C: e.Crc32C}
}

// whole checks an input that is all of an image but for this stage's own.
func (s *run) whole() error {
	if err := s.unchanged(); err != nil {
		return err
	}
	if s.Check == nil {
		return nil
	}
	if err := s.Check(s.c.Image); err != nil {
		return fmt.Errorf("this tree could not be restored: %w", err)
	}
	return nil
}

// unchanged compares what has arrived of every stage with what that stage told
// freeze that it wrote. The stream's own checksums are no proof: a program
// between two stages may have made them anew.
func (s *run) unchanged() error {
	told, err := s.lease.Ledger()
	if err != nil {
		return err
	}
	for _, e := range s.c.Image.Stages {
		arrived := lease.Entry{Stage: e.Stage, Wrote: wrote(e)}
		if slices.Contains(told, arrived) {
			continue
		}
		i := slices.IndexFunc(told, func(t lease.Entry) bool { return t.Stage == e.Stage })
		if i < 0 {
			return cli.BadInput(fmt.Errorf("the stream has records of a stage %q that has not told freeze of them", e.Stage))
		}
		return cli.BadInput(fmt.Errorf("what %s wrote was changed on its way: it wrote %d records of %d bytes with checksum %08x, and %d of %d bytes with checksum %08x have arrived; nothing between two stages may change the stream",
			e.Stage, told[i].Records, told[i].Bytes, told[i].CRC32C, arrived.Records, arrived.Bytes, arrived.CRC32C))
	}
	return nil
}
