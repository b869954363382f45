// Package lease keeps a tree frozen for as long as a stage needs it, and no
// longer.
//
// freeze holds the tree, and both ends of a sequenced-packet socket pair. The
// stream's header names freeze (pid, start time) and the descriptor of the
// stages' end in it. Each stage fetches a duplicate of that with
// pidfd_getfd(2), says hello, and at its end says how it went. freeze holds a
// pidfd of every stage that said hello, so that one that dies without a verdict
// is noticed at once.
//
// A socket, because the kernel then says who sent a message (SO_PASSCRED): a
// verdict counts even when its sender has exited and been waited for before
// freeze gets to read it, and nobody can speak for another. Because it has a
// peer, a stage can see that the descriptor that a stream led it to is
// freeze's own (SO_PEERCRED), before it writes anything there; and it sees
// freeze end.
//
// A message is one packet, little-endian:
//
//	 0  u32    magic
//	 4  u32    Kind
//	 8  u64    the sender's start time, /proc/PID/stat field 22
//	16  16 B   name of the stage, padded with zeros
//	32  u64    Done: how many records it has added
//	40  u64    their bytes
//	48  u32    their CRC-32C, as its end-of-stage record has it
//	52  u32    zero
//	56  text   why it failed, 1024 bytes at most
//
// freeze keeps what each stage says that it wrote, itself included, and tells
// that to a stage that asks: the last one compares it with what has arrived, so
// that whatever stands between two stages can't change the stream unseen. The
// answer, one packet with an entry of 40 bytes for each of them (the bytes 16 to
// 55 of its message), goes to a socket that comes with the question.
//
// The lease ends when a stage has said that it was the last (Final, Complete)
// and none is still at work; when one fails, or dies before its verdict, which
// says more than what those after it say, whose input was cut by that; when
// nobody reads freeze's standard output any more; when nothing has moved for a
// time; or when a signal says so.
//
// What moves is told by the stages, every tenth of a second in which they have
// read, written or added something. So a stage that is stopped, or hangs in
// whatever system call, is one that has nothing to tell, and one that goes on,
// however slowly, is not taken for it.
package lease
