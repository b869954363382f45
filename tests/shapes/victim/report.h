/* What a task sees of itself, as text. */
static void put(struct slot *s, const char *text)
{
	while (*text && s->length < text_size - 1)
		s->text[s->length++] = *text++;
	s->text[s->length] = 0;
}

static void put_number(struct slot *s, u64 n)
{
	char digits[20], *p = digits + sizeof digits - 1;
	*p = 0;
	do
		*--p = "0123456789abcdef"[n & 15];
	while (n >>= 4);
	put(s, " ");
	put(s, p);
}

static void line(struct slot *s, const char *name, int n, const u64 *v)
{
	put(s, name);
	for (int i = 0; i < n; i++)
		put_number(s, v[i]);
	put(s, "\n");
}

#define LINE(s, name, ...) line(s, name, sizeof((u64[]){__VA_ARGS__}) / 8, (u64[]){__VA_ARGS__})

static void report_ids(struct slot *s)
{
	u32 id[8] = {0};
	u32 group[64];
	LINE(s, "pid", getpid(), gettid(), SYS_0(__NR_getppid), SYS_1(__NR_getpgid, 0), SYS_1(__NR_getsid, 0));
	SYS_3(__NR_getresuid, id, id + 1, id + 2);
	SYS_3(__NR_getresgid, id + 3, id + 4, id + 5);
	LINE(s, "ids", id[0], id[1], id[2], id[3], id[4], id[5], SYS_1(__NR_setfsuid, -1), SYS_1(__NR_setfsgid, -1));
	long n = SYS_2(__NR_getgroups, 64, group);
	for (int i = 0; i < n; i++)
		LINE(s, "group", group[i]);
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];
	SYS_2(__NR_capget, &h, d);
	LINE(s, "caps", d[0].effective, d[1].effective, d[0].permitted, d[1].permitted, d[0].inheritable, d[1].inheritable);
}

static void report_attributes(struct slot *s)
{
	u64 word = 0, length = 0;
	u32 n = 0;
	char text[512] = {0};
	for (long what = 1; what < 80; what++) {
		switch (what) {
		case PR_GET_DUMPABLE: case PR_GET_KEEPCAPS: case PR_GET_TIMING: case PR_GET_SECUREBITS:
		case PR_GET_TIMERSLACK: case PR_GET_NO_NEW_PRIVS: case PR_GET_THP_DISABLE: case PR_GET_IO_FLUSHER:
		case PR_MCE_KILL_GET: case 66: case 68: /* MDWE, memory merge */
			put_number(s, what);
			n = prctl1(what, 0);
			LINE(s, " prctl", what == PR_GET_TIMERSLACK && !n ? 1 : n); /* see normal.go */
			break;
		case PR_GET_PDEATHSIG: case PR_GET_CHILD_SUBREAPER: case PR_GET_TSC:
			prctl1(what, WORD(&n));
			put_number(s, what);
			LINE(s, " prctl", n);
			break;
		}
	}
	prctl1(PR_GET_TID_ADDRESS, WORD(&word));
	LINE(s, "tid address", word);
	prctl1(PR_GET_NAME, WORD(text));
	put(s, text);
	SYS_3(__NR_get_robust_list, 0, &word, &length);
	LINE(s, "\nrobust list", word, length);
	SYS_2(__NR_arch_prctl, ARCH_GET_FS, &word);
	SYS_2(__NR_arch_prctl, ARCH_GET_GS, &length);
	LINE(s, "fs, gs", word, length);
	LINE(s, "personality", SYS_1(__NR_personality, 0xffffffff));
	u64 nodes[16] = {0};
	LINE(s, "memory policy", SYS_5(__NR_get_mempolicy, &n, nodes, 1024, 0, 0), n, nodes[0]);
	LINE(s, "barriers", SYS_3(__NR_membarrier, 1 << 9, 0, 0));
	LINE(s, "break", SYS_1(__NR_brk, 0));
	memset(text, 0, sizeof text);
	SYS_2(__NR_getcwd, text, sizeof text - 1);
	put(s, "cwd ");
	put(s, text);
	memset(text, 0, sizeof text);
	SYS_4(__NR_sched_getattr, 0, text, 56, 0);
	put(s, "\n");
	line(s, "sched", 7, (u64 *)text);
	LINE(s, "priority", SYS_2(__NR_getpriority, 0, 0), SYS_2(__NR_ioprio_get, 1, 0));
	memset(text, 0, sizeof text);
	LINE(s, "affinity", SYS_3(__NR_sched_getaffinity, 0, 128, text), *(u64 *)text);
}

static void report_signals(struct slot *s)
{
	u64 set = 0;
	struct altstack st;
	for (int i = 1; i <= 64; i++) {
		struct action act = {0};
		SYS_4(__NR_rt_sigaction, i, 0, &act, 8);
		if (act.handler || act.flags || act.mask)
			LINE(s, "action", i, WORD(act.handler), act.flags, WORD(act.restorer), act.mask);
		if (s->handled[i])
			LINE(s, "handled", i, s->handled[i]);
	}
	SYS_4(__NR_rt_sigprocmask, 0, 0, &set, 8);
	LINE(s, "blocked", set);
	SYS_2(__NR_rt_sigpending, &set, 8);
	LINE(s, "pending", set);
	SYS_2(__NR_sigaltstack, 0, &st);
	LINE(s, "altstack", st.sp, st.flags, st.size);
}

/* The first number after "remaining" is a time that runs: see normal.go. */
static void report_timers(struct slot *s)
{
	struct timerspec v;
	for (int i = 0; i < 3; i++) {
		SYS_2(__NR_getitimer, i, &v);
		LINE(s, "itimer", i, v.interval.sec, v.interval.nsec);
		LINE(s, "remaining", v.value.sec);
	}
	struct slot *l = &control->slot[s->leader];
	for (int i = 0; i < 32; i++) {
		if (!(l->timers & 1u << i))
			continue;
		LINE(s, "timer", l->timer[i], SYS_2(__NR_timer_gettime, l->timer[i], &v), v.interval.sec, v.interval.nsec);
		LINE(s, "remaining", v.value.sec);
	}
}

static void report_descriptors(struct slot *s)
{
	for (int fd = 0; fd <= last_fd; fd++) {
		long flags = SYS_2(__NR_fcntl, fd, F_GETFL);
		int owner[2] = {0}, bytes = -1;
		u32 user[2] = {0};
		if (flags < 0)
			continue;
		struct pollfd p = {fd, 0x3fff, 0};
		SYS_3(__NR_poll, &p, 1, 0);
		SYS_3(__NR_fcntl, fd, F_GETOWN_EX, owner);
		SYS_3(__NR_fcntl, fd, 17 /* F_GETOWNER_UIDS */, user);
		SYS_3(__NR_ioctl, fd, 0x541b /* FIONREAD */, &bytes);
		if (SYS_2(__NR_fcntl, fd, F_GETPIPE_SZ) > 0) { /* see normal.go */
			if (p.revents & POLLERR) {
				bytes = 0;
				p.revents &= ~(POLLOUT | POLLWRNORM | POLLWRBAND);
			}
		}
		LINE(s, "descriptor", fd, flags, SYS_2(__NR_fcntl, fd, F_GETFD), SYS_3(__NR_lseek, fd, 0, 1),
		     owner[0], owner[1], user[0], user[1], SYS_2(__NR_fcntl, fd, 11 /* F_GETSIG */), SYS_2(__NR_fcntl, fd, F_GETPIPE_SZ), bytes, p.revents);
	}
}

/* Children that have ended or stopped, left as they are. */
static void report_children(struct slot *s)
{
	for (int i = 0; i < slots; i++) {
		struct { int signo, error, code, pad, pid, uid, status; u8 rest[100]; } info = {0};
		if (control->slot[i].tid && SYS_5(__NR_waitid, 1 /* P_PID */, control->slot[i].tid, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL, 0) == 0 && info.pid)
			LINE(s, "child", info.pid, info.signo, info.code, info.status);
	}
}

static long op_report(struct slot *s, const i64 *a)
{
	s->length = 0;
	report_ids(s);
	report_attributes(s);
	report_signals(s);
	report_timers(s);
	report_descriptors(s);
	report_children(s);
	return s->length;
}

/* Waits for every child that has ended. */
static long op_reap(struct slot *s, const i64 *a)
{
	int status;
	long pid;
	s->length = 0;
	while ((pid = SYS_4(__NR_wait4, -1, &status, 1 /* WNOHANG */ | __WALL, 0)) > 0)
		LINE(s, "ended", pid, status);
	return s->length;
}
