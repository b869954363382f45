#include "textflag.h"

// floe_start is where the kernel starts the program, instead of Go's own
// _rt0_amd64_linux, to which it goes on. From SP on there are words: argc, the
// arguments, 0, the variables of the environment, 0, and the auxiliary vector.
TEXT floe_start(SB), NOSPLIT|NOFRAME, $0
	CLD
	MOVQ 0(SP), CX
	LEAQ 16(SP)(CX*8), SI     // the first variable
	MOVQ $·variable(SB), DI
	MOVQ (DI), DX             // how its name begins

look:
	MOVQ (SI), AX
	ADDQ $8, SI
	TESTQ AX, AX
	JZ   insert
	CMPQ (AX), DX
	JNE  look
	JMP  _rt0_amd64_linux(SB) // somebody knows better

insert:
	// The words up to the last variable go down by one, and the variable into
	// the room behind them. SI is behind the 0 at their end.
	MOVQ SI, CX
	SUBQ SP, CX
	SHRQ $3, CX
	DECQ CX
	MOVQ DI, AX
	MOVQ SP, SI
	SUBQ $8, SP
	MOVQ SP, DI
	REP; MOVSQ
	MOVQ AX, (DI)
	MOVL $1, ·entered(SB)
	JMP _rt0_amd64_linux(SB)

// The number is 1, in a form that nobody else writes.
DATA ·variable+0(SB)/8, $"GOMAXPRO"
DATA ·variable+8(SB)/8, $"CS=01\x00\x00\x00"
GLOBL ·variable(SB), RODATA|NOPTR, $16
