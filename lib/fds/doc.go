// Package fds saves and reopens what processes hold open: descriptors, the
// open file descriptions behind them, pipes with their contents, locks, and
// the working and root directories.
//
// Collecting works from outside of a frozen tree, without ptrace: /proc/PID/fd
// and fdinfo tell what there is, kcmp(2) which descriptors are one description,
// and pidfd_getfd(2) gives a duplicate where the object itself must be asked.
// Nothing is consumed: a pipe's bytes are copied with tee(2), counters are read
// from fdinfo.
//
// Opening works in the restoring process: Open makes every description once,
// and tasks take duplicates of them, so that what was shared is shared again.
//
// Each sort of object is a kind, with both of its halves in one file, and a line in
// the table of kind.go. Nothing outside of this package knows a kind. To add one:
//
//	takes     is this descriptor of mine?                 fddump
//	save      what must be saved of it                    fddump
//	opens     is this record of mine?                     restore
//	open      make the object                             restore
//	show      what it is, for people                      imgcat
//
// and, where a kind has that:
//
//	finish    what needs other objects to exist           restore
//	complete  what comes when all are finished            restore
//	check     is the record such as can be restored?      pagedump, restore
//	fields    what fdinfo has of it                       fddump
//	needs     a capability that restore must have         restore --check
//
// What a restored tree can notice: an edge-triggered epoll entry may report again
// what is ready already (epolledge.go); a spent EPOLLONESHOT entry whose file was
// ready for nothing is armed for errors and hang-ups; a fifo that had lost its name
// is an anonymous pipe.
package fds
