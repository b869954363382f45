// Package restorer brings a tree back from an image: it carries out what
// package plan made of the records, with package inject's puppets.
//
// The order:
//
//  1. check     the image against this machine: architecture, processor, vDSO,
//     pids, files; nothing has been made yet
//  2. open      descriptors and mapped files, in this process
//  3. tree      all processes, from the first puppet down
//  4. prepare   each process: address space, descriptors, directories
//  5. pages     their contents, as the stream brings them
//  6. threads   and what belongs to each: credentials, signals, timers
//  7. release   all at once: see package inject, release.go
//
// If anything fails before the release has committed, every process made so
// far is killed.
package restorer
