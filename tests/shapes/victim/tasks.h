/* Tasks: made, ended, moved. */
static u8 stacks[slots][stack_size] __attribute__((aligned(4096)));

static void work(struct slot *s);

__attribute__((noreturn, used)) static void born(struct slot *s)
{
	s->tid = gettid();
	s->tgid = getpid();
	__atomic_store_n(&s->up, 1, __ATOMIC_SEQ_CST);
	ring();
	work(s);
	for (;;)
		SYS_1(__NR_exit_group, 99);
}

static long clone_slot(u64 flags, int exit_signal, struct slot *child)
{
	struct clone_args args = {
		.flags = flags, .exit_signal = exit_signal,
		.stack = WORD(stacks[child - control->slot]), .stack_size = stack_size,
	};
	if (flags & (CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID))
		args.child_tid = WORD(stacks[child - control->slot]);
	long r;
	register struct slot *kept asm("r12") = child;
	asm volatile("syscall\n\t"
		     "test %%rax, %%rax\n\t"
		     "jnz 1f\n\t"
		     "xor %%ebp, %%ebp\n\t"
		     "mov %%r12, %%rdi\n\t"
		     "call born\n\t"
		     "1:"
		     : "=a"(r)
		     : "a"(__NR_clone3), "D"(&args), "S"(sizeof args), "r"(kept)
		     : "rcx", "r11", "memory");
	return r;
}

static long op_fork(struct slot *s, const i64 *a)
{
	struct slot *child = &control->slot[a[0]];
	child->leader = a[1] & CLONE_THREAD ? s->leader : a[0];
	return clone_slot(a[1], a[2], child);
}

static long op_exit(struct slot *s, const i64 *a) { return SYS_1(__NR_exit_group, a[0]); }
static long op_exit_thread(struct slot *s, const i64 *a) { return SYS_1(__NR_exit, a[0]); }

static long op_exec(struct slot *s, const i64 *a)
{
	if (gettid() != getpid())
		return -1;
	char program[160], file[160], number[3] = {'0' + (s - control->slot) / 10, '0' + (s - control->slot) % 10, 0};
	const char *argv[] = {path(program, "victim", -1), path(file, "control", -1), number, 0};
	const char *env[] = {"A=b", 0};
	s->up = 0;
	s->timers = 0;
	long r = SYS_3(__NR_execve, program, argv, env);
	s->up = 1;
	return r;
}

static long op_wait(struct slot *s, const i64 *a)
{
	int status;
	return SYS_4(__NR_wait4, control->slot[a[0]].tid, &status, 1 /* WNOHANG */ | __WALL, 0);
}

static long op_setsid(struct slot *s, const i64 *a) { return SYS_0(__NR_setsid); }

static long op_setpgid(struct slot *s, const i64 *a)
{
	return control->slot[a[0]].tgid && control->slot[a[1]].tgid ? SYS_2(__NR_setpgid, control->slot[a[0]].tgid, control->slot[a[1]].tgid) : -1;
}

static long op_subreaper(struct slot *s, const i64 *a) { return prctl1(PR_SET_CHILD_SUBREAPER, a[0]); }
static long op_pdeathsig(struct slot *s, const i64 *a) { return prctl1(PR_SET_PDEATHSIG, a[0]); }
static long op_unshare(struct slot *s, const i64 *a) { return SYS_1(__NR_unshare, a[0]); }

/* A name, with bytes that are no UTF-8 when odd. */
static long op_comm(struct slot *s, const i64 *a)
{
	char name[16] = "shape ", *p = name + 6;
	for (u64 n = a[0]; n; n /= 10)
		*p++ = '0' + n % 10;
	if (a[1])
		*p++ = ')';
	return prctl1(PR_SET_NAME, WORD(name));
}

static long op_timerslack(struct slot *s, const i64 *a) { return prctl1(PR_SET_TIMERSLACK, a[0]); }
static long op_thp_disable(struct slot *s, const i64 *a) { return prctl1(PR_SET_THP_DISABLE, a[0]); }
static long op_tsc(struct slot *s, const i64 *a) { return prctl1(PR_SET_TSC, a[0]); }
static long op_fsbase(struct slot *s, const i64 *a) { return SYS_2(__NR_arch_prctl, ARCH_SET_FS, a[0]); }
static long op_gsbase(struct slot *s, const i64 *a) { return SYS_2(__NR_arch_prctl, ARCH_SET_GS, a[0]); }
static long op_tid_address(struct slot *s, const i64 *a) { return SYS_1(__NR_set_tid_address, ARENA + a[0] * PAGE + a[1] * 4), 0; }
static long op_robust_list(struct slot *s, const i64 *a) { return SYS_2(__NR_set_robust_list, ARENA + a[0] * PAGE, 24); }

static long op_personality(struct slot *s, const i64 *a) { return SYS_1(__NR_personality, a[0]); }
static long op_nice(struct slot *s, const i64 *a) { return SYS_3(__NR_setpriority, 0, 0, a[0]); }

/* The numbers of <linux/prctl.h>: not every machine's has them. */
static long op_mdwe(struct slot *s, const i64 *a) { return prctl1(65, a[0]); }
static long op_merge(struct slot *s, const i64 *a) { return prctl1(67, a[0]); }
static long op_mce(struct slot *s, const i64 *a) { return prctl2(PR_MCE_KILL, PR_MCE_KILL_SET, a[0]); }
static long op_barrier(struct slot *s, const i64 *a) { return SYS_3(__NR_membarrier, a[0], 0, 0); }

static long op_mempolicy(struct slot *s, const i64 *a)
{
	u64 node = 1;
	return SYS_3(__NR_set_mempolicy, a[0], a[0] ? &node : 0, a[0] ? 64 : 0);
}

static long op_dump_filter(struct slot *s, const i64 *a)
{
	char text[5] = "0x00";
	text[2] = "0123456789abcdef"[a[0] >> 4 & 15];
	text[3] = "0123456789abcdef"[a[0] & 15];
	int fd = SYS_4(__NR_openat, AT_FDCWD, "/proc/self/coredump_filter", O_WRONLY, 0);
	long r = SYS_3(__NR_write, fd, text, 4);
	SYS_1(__NR_close, fd);
	return r;
}

static long op_policy(struct slot *s, const i64 *a)
{
	int priority = (a[0] & 0xff) == 1 || (a[0] & 0xff) == 2 ? a[1] : 0;
	return SYS_3(__NR_sched_setscheduler, 0, a[0], &priority);
}

static long op_affinity(struct slot *s, const i64 *a)
{
	u64 mask = a[0];
	return SYS_3(__NR_sched_setaffinity, 0, 8, &mask);
}

static long op_ioprio(struct slot *s, const i64 *a) { return SYS_3(__NR_ioprio_set, 1, 0, a[0] << IOPRIO_CLASS_SHIFT | a[1]); }

static long op_limit(struct slot *s, const i64 *a)
{
	struct rlimit64 old, r = {a[1], a[2]};
	long e = SYS_4(__NR_prlimit64, 0, a[0], 0, &old);
	if (e)
		return e;
	if (r.rlim_max > old.rlim_max)
		r.rlim_max = old.rlim_max;
	if (r.rlim_cur > r.rlim_max)
		r.rlim_cur = r.rlim_max;
	return SYS_4(__NR_prlimit64, 0, a[0], &r, 0);
}

static long op_oom(struct slot *s, const i64 *a)
{
	char text[8], *p = text;
	long n = a[0];
	if (n < 0)
		*p++ = '-', n = -n;
	if (n >= 100)
		*p++ = '0' + n / 100 % 10;
	*p++ = '0' + n / 10 % 10;
	*p++ = '0' + n % 10;
	int fd = SYS_4(__NR_openat, AT_FDCWD, "/proc/self/oom_score_adj", O_WRONLY, 0);
	long r = SYS_3(__NR_write, fd, text, p - text);
	SYS_1(__NR_close, fd);
	return r;
}
