// Package shapes makes random processes, checkpoints, kills and restores them,
// and compares what they and /proc say before and after.
//
// A seed gives a program: some operations, each by one of up to some dozens of
// tasks. The victim (victim/victim.c) carries them out one at a time, so that
// the same program makes the same tree again. Then every task that can reports
// what it sees of itself, the tree is checkpointed with --then kill and
// restored, and reports again. A seed ends in one of two ways: the same, or
// refused by name by the dump, and then the tree runs on as it was. All else is
// a failure, and is shrunk to the shortest program that fails like it.
//
// Each worker is the first process of a pid namespace: its victims have the
// same pids in every run, nobody else takes them, and what they leave is its
// own. The test's binary is the worker too; see Worker.
package shapes
