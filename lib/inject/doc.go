// Package inject runs system calls inside other processes.
//
// A puppet is a process that floe made to become a restored task. It runs
// nothing but floe's own code, in an arena that lies where no address space of
// the image has anything, and it dies with its tracer (OptExitKill). Tables of
// system calls (package stub) run in it in one go (Arena.Run).
//
// A guest is a live process that must survive floe whatever happens, and has
// no room that is floe's: see RunGuest.
//
// The package knows nothing about images.
package inject
