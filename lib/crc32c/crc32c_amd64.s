#include "textflag.h"

// func updateShort(crc uint32, b []byte) uint32
TEXT ·updateShort(SB), NOSPLIT, $0-36
	MOVL crc+0(FP), AX
	MOVQ b_base+8(FP), SI
	MOVQ b_len+16(FP), CX

words:
	SUBQ   $8, CX
	JLT    tail
	CRC32Q (SI), AX
	ADDQ   $8, SI
	JMP    words

tail:
	ADDQ $8, CX
	JZ   done

bytes:
	CRC32B (SI), AX
	INCQ   SI
	DECQ   CX
	JNZ    bytes

done:
	MOVL AX, ret+32(FP)
	RET
