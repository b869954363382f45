// Package stub has the machine code that floe runs inside the processes it
// restores, and the layout of the data that this code works on.
//
// Three pieces of code go into a puppet's code page (Code):
//
//	table  runs a table of system calls in one go: one ptrace stop for
//	       thousands of calls
//	call   runs one system call whose registers the tracer has set
//	gate   decides, when the tracer is dead, whether the puppet goes on as the
//	       restored task or kills itself
//
// A table is data too, and made here (Encode): package plan says which calls,
// package inject writes the table into a puppet and runs it.
package stub
