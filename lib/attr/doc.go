// Package attr has what a process or a thread has set of itself, or inherited:
// for each attribute one file, with its reading at dump and its setting at
// restore side by side, and one line in the table (table.go). Nothing else names
// them. What stands in lib/freezer and lib/restorer has not moved in yet:
// credentials, limits, signals, timers, scheduling, rseq.
//
// An attribute is an Attr: functions that read it from outside (Look), or with
// calls that the task makes itself (Ask, Answer); that check what an image says
// of it (Check), and whether this machine can give it (Cannot); and that set it,
// in one of the moments in which a restore lets them (Early, Write, Set, Run,
// Last). All are optional.
//
// A restored task has each attribute as the image says, also where nothing was
// set: restore reads its own attributes with the same functions (Own), and an
// attribute is set where the task is to have it otherwise. What can't be changed
// any more once it is set, Fixed names: restore refuses to run under that.
package attr
