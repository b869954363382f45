#include "textflag.h"

// Code that runs inside a puppet, copied to its arena's code page. It is
// position independent, has no relocations, calls nothing and uses no stack:
// a puppet has none.

// func tableStub()
//
// Runs a table of system calls (layout: table.go).
//
//	R12  in      the table
//	R13  in      number of entries
//	R14  in/out  index of the first entry to run; at the trap, of the entry
//	             that failed, or R13 when all were run
//
// R12 to R15 and BX, since a system call clobbers AX, CX and R11 and takes
// DI, SI, DX, R10, R8 and R9. Ends in INT3; never returns.
#define ENTRY_SIZE 80
#define ARG(n, reg) \
	MOVQ (8+8*n)(BX), reg; \
	BTL  $n, R15; \
	JCC  4(PC); \
	IMUL3Q $ENTRY_SIZE, reg, reg; \
	ADDQ R12, reg; \
	MOVQ 64(reg), reg

TEXT ·tableStub(SB), NOSPLIT|NOFRAME, $0-0
next:
	CMPQ R14, R13
	JCC  done                      // unsigned >=
	IMUL3Q $ENTRY_SIZE, R14, BX
	ADDQ R12, BX                   // BX: the entry
	MOVL 56(BX), R15               // which arguments are results of others
	ARG(0, DI)
	ARG(1, SI)
	ARG(2, DX)
	ARG(3, R10)
	ARG(4, R8)
	ARG(5, R9)
	MOVQ 0(BX), AX
	SYSCALL
	MOVQ AX, 64(BX)
	CMPQ AX, $-4095
	JCS  ok                        // unsigned <: not an errno
	BTL  $0, 60(BX)                // the entry may fail
	JCC  done
ok:
	INCQ R14
	JMP  next
done:
	BYTE $0xcc                     // int3
	UNDEF

TEXT ·tableStubEnd(SB), NOSPLIT|NOFRAME, $0-0
	RET

// func gateStub()
//
// What a puppet runs if its tracer is gone after it was made ready: goes on as
// the restored task if the whole tree was committed, and kills itself if not.
//
//	R12  in  the commit word (shared by all puppets): 0 not committed
//	R13  in  a signal that its process is sent before it goes on; 0: none
//	SP   in  a signal frame, as rt_sigreturn(2) wants it
//
// Never returns.
TEXT ·gateStub(SB), NOSPLIT|NOFRAME, $0-0
	MOVL (R12), AX
	TESTL AX, AX
	JEQ  die
	TESTQ R13, R13
	JEQ  go
	MOVQ $39, AX                   // getpid
	SYSCALL
	MOVQ AX, DI
	MOVQ R13, SI
	MOVQ $62, AX                   // kill; then on from here
	SYSCALL
go:
	MOVQ $15, AX                   // rt_sigreturn
	SYSCALL
die:
	MOVQ $39, AX                   // getpid
	SYSCALL
	MOVQ AX, DI
	MOVQ $9, SI                    // SIGKILL
	MOVQ $62, AX                   // kill
	SYSCALL
	BYTE $0xcc                     // int3
	UNDEF

TEXT ·gateStubEnd(SB), NOSPLIT|NOFRAME, $0-0
	RET

// func callStub()
//
// One system call whose registers the tracer has set. Ends in INT3.
TEXT ·callStub(SB), NOSPLIT|NOFRAME, $0-0
	SYSCALL
	BYTE $0xcc                     // int3
	UNDEF

TEXT ·callStubEnd(SB), NOSPLIT|NOFRAME, $0-0
	RET

// func flagsStub()
//
// Sets flags that no tracer and no signal frame can set.
//
//	SP  in  the flags, 8 bytes
//
// Ends in INT3.
TEXT ·flagsStub(SB), NOSPLIT|NOFRAME, $0-0
	POPFQ
	BYTE $0xcc                     // int3
	UNDEF

TEXT ·flagsStubEnd(SB), NOSPLIT|NOFRAME, $0-0
	RET

// func textBounds(which int) (start, end unsafe.Pointer)
TEXT ·textBounds(SB), NOSPLIT, $0-24
	MOVQ which+0(FP), AX
	CMPQ AX, $0
	JNE  one
	LEAQ ·tableStub(SB), BX
	LEAQ ·tableStubEnd(SB), CX
	JMP  out
one:
	CMPQ AX, $1
	JNE  two
	LEAQ ·gateStub(SB), BX
	LEAQ ·gateStubEnd(SB), CX
	JMP  out
two:
	CMPQ AX, $2
	JNE  three
	LEAQ ·callStub(SB), BX
	LEAQ ·callStubEnd(SB), CX
	JMP  out
three:
	LEAQ ·flagsStub(SB), BX
	LEAQ ·flagsStubEnd(SB), CX
out:
	MOVQ BX, start+8(FP)
	MOVQ CX, end+16(FP)
	RET
