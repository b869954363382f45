/* A process that carries out a random program: victim CONTROL SLOT. The harness
   gives each task its operations through the control file, one at a time. */
#include "sys.h"
#include "control.h"
#include "tasks.h"
#include "creds.h"
#include "signals.h"
#include "memory.h"
#include "files.h"
#include "block.h"
#include "report.h"
#include "ops.h" /* generated from the table of operations: OPS(X) */

#define ENTRY(name) op_##name,
static long (*const operation[])(struct slot *, const i64 *) = {OPS(ENTRY)};

static void work(struct slot *s)
{
	for (;;) {
		u32 turn = __atomic_load_n(&s->turn, __ATOMIC_SEQ_CST);
		if (turn == s->done) {
			futex(&s->turn, FUTEX_WAIT, turn);
			continue;
		}
		s->op.result = operation[s->op.code](s, s->op.arg);
		__atomic_store_n(&s->done, turn, __ATOMIC_SEQ_CST);
		ring();
	}
}

static void begin(const char *file, const char *number)
{
	int fd = SYS_4(__NR_openat, AT_FDCWD, file, O_RDWR, 0);
	u64 r = SYS_6(__NR_mmap, CONTROL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	SYS_1(__NR_close, fd);
	if (r != CONTROL)
		SYS_1(__NR_exit_group, 98);
	struct slot *s = &control->slot[(number[0] - '0') * 10 + number[1] - '0'];
	s->leader = s - control->slot;
	s->done = s->turn;
	born(s);
}

__attribute__((used)) static void entry(u64 *sp)
{
	char **argv = (char **)(sp + 1);
	if (sp[0] == 3)
		begin(argv[1], argv[2]);
	SYS_1(__NR_exit_group, 97);
}

asm(".globl _start\n_start: mov %rsp, %rdi\n\tand $-16, %rsp\n\tcall entry");
