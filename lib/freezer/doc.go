// Package freezer stops a process tree, says everything about its tasks that
// package record has a place for, and lets it go again.
//
// # Freezing
//
// Every thread is attached with PTRACE_SEIZE and stopped with
// PTRACE_INTERRUPT, which its parent does not notice. The tree moves while
// that happens; these are the races, and what ends them:
//
//  1. A seized task makes a child or a thread: the kernel attaches the newborn
//     too (PTRACE_O_TRACEFORK, …VFORK, …CLONE), stopped before its first
//     instruction.
//  2. A task that isn't seized yet makes one: the lists of threads and children
//     in /proc are read again until, with every known task stopped, nothing new
//     is in them.
//  3. A child that isn't seized yet makes another one and ends: its child goes
//     to a reaper outside of the tree. Tasks that began since the freeze did and
//     belong to a session and process group of the tree are looked for; if there
//     is one, all is let go and tried again.
//  4. A task waits for its vfork child, which is stopped: it can't stop before
//     that one has called exec. When a task does not stop soon, all is let go and
//     tried again.
//  5. A thread is inside the vDSO, whose code belongs to this kernel: it is let
//     go on for some microseconds, until it isn't.
//
// # What happens when freeze dies
//
// A tracer's death lets its tasks go on with the registers that they have. So
// nothing is ever done to a task that would not undo itself: no single-stepping
// (the trap flag would outlive the tracer), no breakpoints, and system calls
// are run inside it by package inject's guest programs only.
package freezer
