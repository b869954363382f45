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
// Each sort of object is a kind, in a file of its own:
//
//	takes     is this descriptor of mine?                 fddump
//	describe  what must be saved of it                    fddump
//	opens     is this record of mine?                     restore
//	open      make the object                             restore
//	finish    what needs other objects to exist           restore
//
// What a restored tree can notice: an edge-triggered epoll entry reports once
// what is ready already; a spent EPOLLONESHOT entry whose file was ready for
// nothing is armed for errors and hang-ups; a fifo that had lost its name is an
// anonymous pipe.
package fds
