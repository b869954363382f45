// Package restorer brings a tree back from an image: it carries out what
// package plan made of the records, with package inject's puppets.
//
// The order:
//
//  1. check     the image against this machine: architecture, processor, vDSO,
//     pids, files; nothing has been made or opened yet
//  2. open      the files that are mapped: regular ones only
//  3. tree      all processes, from the first puppet down
//  4. map       the address space of each
//  5. pages     their contents, as the stream brings them; the image has been
//     verified to its last byte then
//  6. hold      what the tree has open: files, devices, fifos, locks
//  7. give      each process its directories and descriptors
//  8. threads   and what belongs to each: credentials, signals, timers
//  9. release   all at once: see package inject, release.go
//
// If anything fails before the release has committed, every process made so
// far is killed and waited for (undo.go). Afterwards nothing fails: see release.go.
package restorer
