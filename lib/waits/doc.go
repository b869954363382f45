// Package waits knows the system calls that wait for a relative time and that
// restart_syscall(2) goes on with: nanosleep, clock_nanosleep, poll, and FUTEX_WAIT
// with a timeout. When one is interrupted (-ERESTART_RESTARTBLOCK), the kernel keeps
// its deadline, in the task. A restored thread makes the call again itself, with the
// time that was left, and is interrupted in it: then the kernel has a deadline again,
// and the thread gets the registers that it had.
//
// Here is both what reads the time that is left and what makes the call again.
package waits
