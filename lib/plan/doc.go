// Package plan turns the records of an image into what has to be done to bring
// the tree back: which process makes which, and the system calls that each
// task runs, in order. It is pure: it opens nothing, asks the kernel nothing,
// and is tested without root. Package inject carries a plan out.
//
// Descriptors in a plan are numbers in the puppet: it fetches restore's with
// pidfd_getfd(2), by way of its Guide, and the plan knows which number each gets.
package plan
