// Package plan turns the records of an image into what has to be done to bring
// the tree back: which process makes which, and the system calls that each
// task runs, in order. It is pure: it opens nothing, asks the kernel nothing,
// and is tested without root. Package inject carries a plan out.
//
// Descriptors in a plan are numbers that restore chose: every puppet inherits
// restore's descriptors (FDs), and those that the image wants stand above all
// numbers that the image uses.
package plan
