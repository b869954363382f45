// Package pages saves the contents of frozen tasks' memory as Pages records
// and loads them into the memory of tasks being restored.
//
// # What is saved
//
// Only what nothing else can bring back:
//
//	ANON_PRIVATE   pages that are present or swapped
//	FILE_PRIVATE   pages that were written (the task's own copies)
//	ANON_SHARED    every page of the object, once per object, mapped or not
//	FILE_SHARED, and any vma with the flag dp   nothing but guard regions
//	SPECIAL, VSYSCALL   nothing
//
// A page of zeros is a run in a record with encoding ZERO and has no bytes: in
// anonymous memory it comes back untouched, in a private mapping of a file as
// zeros over the file's contents. A guard region (MADV_GUARD_INSTALL) is a run
// in a record with encoding GUARD. Such runs take no room, so those of one owner
// come in order of address, and none twice.
//
// # Blocks
//
//	scan -> block (<= 256 pages, <= 1 MiB) -> worker: read, find zero pages,
//	compress, checksum -> in order of blocks: frames and payloads, written
//
// Blocks are worked on in parallel and written in order, by one of the workers
// at a time, so the same memory always gives the same stream. The payload of a
// RAW record starts on a multiple of 4096 in the stream.
//
// Memory: a block or two a worker, at most [MaxWorkers] of them; the index is
// coalesced to at most [maxIndex] entries.
package pages

const (
	// PageSize is the only page size there is on the architectures of floe.
	PageSize = 4096
	// BlockPages is how many pages a record with a payload has at most.
	BlockPages = 256
	// BlockSize is BlockPages in bytes: no payload is larger.
	BlockSize = BlockPages * PageSize
	// MaxWorkers bounds the memory that the workers take.
	MaxWorkers = 8
)
