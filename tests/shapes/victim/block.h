/* Waiting in a system call, for good: such a task has no more turns. */
static void wait_in(struct slot *s, const i64 *a)
{
	static u32 never;
	u8 byte[64];
	struct pollfd p = {a[1], POLLIN, 0};
	struct spec far = {1 << 30, 5};
	struct range l = {F_WRLCK, 0, 0, 0, 0};
	int status;
	switch (a[0]) {
	case 0:
		SYS_0(__NR_pause);
		break;
	case 1:
		SYS_3(__NR_read, a[1], byte, sizeof byte);
		break;
	case 2:
		SYS_3(__NR_poll, &p, 1, -1);
		break;
	case 3:
		SYS_4(__NR_epoll_wait, a[1], byte, 1, -1);
		break;
	case 4:
		futex(&never, FUTEX_WAIT_PRIVATE, 0);
		break;
	case 5:
		SYS_4(__NR_rt_sigtimedwait, &a[2], 0, 0, 8);
		break;
	case 6:
		SYS_2(__NR_rt_sigsuspend, &a[2], 8);
		break;
	case 7:
		SYS_4(__NR_wait4, -1, &status, __WALL, 0);
		break;
	case 8:
		SYS_2(__NR_flock, a[1], 2);
		break;
	case 9:
		SYS_3(__NR_fcntl, a[1], F_SETLKW, &l);
		break;
	case 10:
		SYS_4(__NR_clock_nanosleep, a[1] & 1, 1 /* TIMER_ABSTIME */, &far, 0);
		break;
	case 11:
		SYS_3(__NR_write, a[1], byte, 1);
		break;
	default:
		SYS_5(__NR_ppoll, &p, 1, 0, &a[2], 8);
	}
}

static long op_block(struct slot *s, const i64 *a)
{
	i64 copy[3] = {a[0], a[1], a[2]};
	/* When the call is interrupted it looks for its descriptor once more: one
	   that nobody else closes or replaces. */
	if (a[0] != 10)
		copy[1] = SYS_3(__NR_fcntl, a[1], F_DUPFD, last_fd + 10);
	__atomic_store_n(&s->blocked, 1, __ATOMIC_SEQ_CST);
	ring();
	for (int i = 0; i < 1000; i++)
		wait_in(s, copy);
	for (;;)
		SYS_0(__NR_pause);
	return 0;
}
