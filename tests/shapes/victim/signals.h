/* Signals and timers. */
typedef struct { int signo, error, code, pad; int pid, uid; u64 value; u8 rest[96]; } info_t;
struct action { void (*handler)(int); u64 flags; void (*restorer)(void); u64 mask; };
struct altstack { u64 sp; int flags, pad; u64 size; };
struct event { u64 value; int signo, notify; int tid; u8 rest[44]; };
struct spec { i64 sec, nsec; };
struct timerspec { struct spec interval, value; };

asm("restorer: mov $15, %eax\n\tsyscall");
void restorer(void);

static void handler(int sig)
{
	u32 tid = gettid();
	for (int i = 0; i < slots; i++)
		if (control->slot[i].tid == tid)
			__atomic_add_fetch(&control->slot[i].handled[sig], 1, __ATOMIC_SEQ_CST);
}

static long op_action(struct slot *s, const i64 *a)
{
	struct action act = {
		.handler = a[1] == 2 ? handler : (void (*)(int))a[1],
		.flags = a[2] | 0x4000000 /* SA_RESTORER */, .restorer = restorer, .mask = a[3],
	};
	return SYS_4(__NR_rt_sigaction, a[0], &act, 0, 8);
}

static long op_mask(struct slot *s, const i64 *a)
{
	return SYS_4(__NR_rt_sigprocmask, a[0], &a[1], 0, 8);
}

static long op_altstack(struct slot *s, const i64 *a)
{
	struct altstack st = {ARENA + a[0] * PAGE, a[2], 0, a[1] * PAGE};
	return SYS_2(__NR_sigaltstack, &st, 0);
}

static long op_kill(struct slot *s, const i64 *a) { return control->slot[a[0]].tgid ? SYS_2(__NR_kill, control->slot[a[0]].tgid, a[1]) : -1; }
static long op_killpg(struct slot *s, const i64 *a) { return control->slot[a[0]].tgid > 1 ? SYS_2(__NR_kill, -(long)control->slot[a[0]].tgid, a[1]) : -1; }
static long op_tkill(struct slot *s, const i64 *a) { return SYS_3(__NR_tgkill, control->slot[a[0]].tgid, control->slot[a[0]].tid, a[1]); }

static info_t queued(const i64 *a)
{
	return (info_t){.signo = a[1], .code = -1 /* SI_QUEUE */, .pid = getpid(), .uid = SYS_0(__NR_getuid), .value = a[2]};
}

static long op_queue(struct slot *s, const i64 *a)
{
	info_t i = queued(a);
	return SYS_3(__NR_rt_sigqueueinfo, control->slot[a[0]].tgid, a[1], &i);
}

static long op_tqueue(struct slot *s, const i64 *a)
{
	info_t i = queued(a);
	return SYS_4(__NR_rt_tgsigqueueinfo, control->slot[a[0]].tgid, control->slot[a[0]].tid, a[1], &i);
}

static long op_itimer(struct slot *s, const i64 *a)
{
	struct timerspec v = {{a[2], a[3]}, {a[1], a[3]}}; /* microseconds */
	return SYS_3(__NR_setitimer, a[0], &v, 0);
}

/* churn makes and deletes timers first: ids only grow. */
static long op_timer(struct slot *s, const i64 *a)
{
	struct slot *l = &control->slot[s->leader];
	struct event e = {.value = a[4], .signo = a[3], .notify = a[2], .tid = gettid()};
	int id;
	if (l->timers & 1u << a[0])
		return -1;
	for (int i = 0; i < a[5]; i++)
		if (SYS_3(__NR_timer_create, a[1], &e, &id) == 0)
			SYS_1(__NR_timer_delete, id);
	long r = SYS_3(__NR_timer_create, a[1], &e, &id);
	if (r)
		return r;
	l->timer[a[0]] = id;
	l->timers |= 1u << a[0];
	return id;
}

static long op_timer_set(struct slot *s, const i64 *a)
{
	struct slot *l = &control->slot[s->leader];
	struct timerspec v = {{a[2], a[3]}, {a[1], a[3]}};
	return l->timers & 1u << a[0] ? SYS_4(__NR_timer_settime, l->timer[a[0]], a[4], &v, 0) : -1;
}

static long op_timer_delete(struct slot *s, const i64 *a)
{
	struct slot *l = &control->slot[s->leader];
	if (!(l->timers & 1u << a[0]))
		return -1;
	l->timers &= ~(1u << a[0]);
	return SYS_1(__NR_timer_delete, l->timer[a[0]]);
}
