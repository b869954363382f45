// Package lease keeps a tree frozen for as long as a stage needs it, and no
// longer.
//
// freeze holds the tree, and the read end of a pipe. The stream's header names
// freeze (pid, start time) and the number of the pipe's write end in it. Each
// stage fetches that descriptor with pidfd_getfd(2), says hello in one write,
// and at its end says how it went. freeze holds a pidfd of every stage that
// said hello, so that one that dies without a verdict is noticed at once.
//
// A message is one write of messageSize bytes, which a pipe keeps whole:
//
//	 0  u32    magic
//	 4  u32    Kind
//	 8  u32    pid of the stage
//	12  u32    bytes of text
//	16  u64    its start time, /proc/PID/stat field 22
//	24  16 B   name of the stage
//	40  216 B  text: why it failed
package lease
