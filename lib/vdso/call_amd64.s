#include "textflag.h"

// func call(fn, a, b, c, d, e uintptr) uintptr
//
// Calls a C function of five arguments on the goroutine's stack, of which the
// frame sets aside more than a function of a vDSO uses. BX is saved by C
// functions, and R12 to R15 and BP too; R14 is Go's g.
TEXT ·call(SB), 0, $8192-56
	MOVQ fn+0(FP), AX
	MOVQ a+8(FP), DI
	MOVQ b+16(FP), SI
	MOVQ c+24(FP), DX
	MOVQ d+32(FP), CX
	MOVQ e+40(FP), R8
	MOVQ SP, BX
	ADDQ $8128, SP
	ANDQ $~15, SP
	CALL AX
	MOVQ BX, SP
	MOVQ AX, ret+48(FP)
	RET
