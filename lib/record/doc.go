// Package record is floe's format: the stream that the stages hand on to each
// other, which is also what an image file holds, byte for byte.
//
//	stream    magic │ frame │ frame │ … │ frame of Index │ frame of End
//
//	magic     0      1      2      3      4      5       6       7
//	        ┌──────┬──────┬──────┬──────┬──────┬───────┬───────┬──────┐
//	        │  F   │  L   │  O   │  E   │  0   │ major │ minor │  0   │
//	        └──────┴──────┴──────┴──────┴──────┴───────┴───────┴──────┘
//
//	frame   ┌───────────────┬─────────────────────────┬─────────────────────┐
//	        │ uvarint N     │ Record, N bytes of      │ payload, as long as │
//	        │ (5 bytes max) │ protobuf, one body      │ Record.payload_len  │
//	        └───────────────┴─────────────────────────┴─────────────────────┘
//
// N is not 0: a file that was not written to its end may go on with zeros.
//
// The records of one stage stand together, and its EndStage closes them:
//
//	Header (Thread… Task)… EndStage(freeze)
//	Mm Vma… File…        EndStage(vmadump)
//	Vdso…                EndStage(vdsoprobe)
//	Fs Fd… OpenFile…     EndStage(fddump)
//	Pages…               EndStage(pagedump) Index End
//
// In a live pipeline a Mark ends the input of a stage before there is an end
// of file: it belongs to that one pipe, is in no count and no checksum, and has
// no place in an offset.
//
// # Checksums
//
// All are CRC-32C. A payload has its own, in its record. EndStage has that of
// the frames of its stage, End and Mark that of the magic and all frames before
// it; none covers payloads, so that several threads can write them. Nothing may
// stand between a stage's EndStage and the next one's first record, nor after
// End: every byte of an image is in a checksum or compared with something.
//
// # Versions
//
// A stream of another major version is refused. One of a newer minor version
// is read: it may have kinds of records, and fields, that this version does not
// know. A stage passes them on as they came, byte for byte. Who acts on a
// stream (restore) calls RefuseUnknown: then only a record that says that it is
// optional may have anything unknown in it.
//
// # Bounds
//
// No length in a stream makes a reader set memory aside before it was compared
// with a bound: MaxRecord and MaxPayload, and MaxDecoded for what a record takes
// in memory, which is counted while it is decoded, ahead of what is set aside (two
// bytes of protobuf can be an empty message of a hundred bytes).
//
// # Code
//
// record.gen.go is generated from record.proto: structs, and what encodes and
// decodes them, by a generator of floe's own (scripts/protoc-gen-record).
// Package recordpb has the same from protobuf's generator: for who wants a
// record's fields by name, and for the tests to compare with.
package record
