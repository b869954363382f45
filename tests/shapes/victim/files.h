/* Descriptors: each operation says which number it gets. */
static long moved(long fd, i64 to, int flags)
{
	if (fd < 0 || fd == to)
		return fd;
	long r = SYS_3(__NR_dup3, fd, to, flags & O_CLOEXEC);
	SYS_1(__NR_close, fd);
	return r;
}

static long op_open(struct slot *s, const i64 *a)
{
	char buffer[160];
	return moved(SYS_4(__NR_openat, AT_FDCWD, path(buffer, "f", a[1]), a[2], 0), a[0], a[2]);
}

static long op_open_folder(struct slot *s, const i64 *a)
{
	char buffer[160];
	return moved(SYS_4(__NR_openat, AT_FDCWD, path(buffer, "d", a[1]), a[2] | O_DIRECTORY, 0), a[0], a[2]);
}

static long op_open_device(struct slot *s, const i64 *a)
{
	static const char *const names[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/urandom"};
	return moved(SYS_4(__NR_openat, AT_FDCWD, names[a[1] & 3], a[2], 0), a[0], a[2]);
}

static long op_open_fifo(struct slot *s, const i64 *a)
{
	char buffer[160];
	return moved(SYS_4(__NR_openat, AT_FDCWD, path(buffer, "p", a[1]), a[2] | O_NONBLOCK, 0), a[0], a[2]);
}

static long op_close(struct slot *s, const i64 *a) { return SYS_1(__NR_close, a[0]); }
static long op_dup(struct slot *s, const i64 *a) { return SYS_3(__NR_dup3, a[0], a[1], a[2]); }
static long op_setfl(struct slot *s, const i64 *a) { return SYS_3(__NR_fcntl, a[0], F_SETFL, a[1]); }
static long op_setfd(struct slot *s, const i64 *a) { return SYS_3(__NR_fcntl, a[0], F_SETFD, a[1]); }
static long op_seek(struct slot *s, const i64 *a) { return SYS_3(__NR_lseek, a[0], a[1], a[2]); }
static long op_truncate(struct slot *s, const i64 *a) { return SYS_2(__NR_ftruncate, a[0], a[1]); }


static long nonblocking(int fd, long n, u64 address, u64 length)
{
	long flags = SYS_2(__NR_fcntl, fd, F_GETFL);
	if (flags < 0)
		return flags;
	SYS_3(__NR_fcntl, fd, F_SETFL, flags | O_NONBLOCK);
	long r = SYS_3(n, fd, address, length);
	SYS_3(__NR_fcntl, fd, F_SETFL, flags);
	return r;
}

/* times writes of length bytes each. */
static long op_put(struct slot *s, const i64 *a)
{
	u8 data[8192];
	long n = 0;
	struct pollfd p = {a[0], POLLOUT, 0};
	SYS_3(__NR_poll, &p, 1, 0);
	if (p.revents & POLLERR) /* that would be SIGPIPE */
		return -1;
	memset(data, 'a' + a[1] % 26, sizeof data);
	for (int i = 0; i < a[2]; i++) {
		int there = 0, size = SYS_2(__NR_fcntl, a[0], F_GETPIPE_SZ);
		SYS_3(__NR_ioctl, a[0], 0x541b /* FIONREAD */, &there);
		if (size > 0 && a[1] % PAGE && PAGE % a[1] && there > size / 4)
			break; /* pages that are partly filled: see normal.go */
		data[0] = i;
		long r = nonblocking(a[0], __NR_write, WORD(data), a[1]);
		if (r <= 0)
			break;
		n += r;
	}
	return n;
}

static long op_get(struct slot *s, const i64 *a)
{
	u8 data[8192];
	return nonblocking(a[0], __NR_read, WORD(data), a[1]);
}

static long op_pipe(struct slot *s, const i64 *a)
{
	int fd[2];
	long r = SYS_2(__NR_pipe2, fd, a[2]);
	if (r)
		return r;
	moved(fd[0], a[0], a[2]);
	return moved(fd[1], a[1], a[2]);
}

static long op_pipe_size(struct slot *s, const i64 *a) { return SYS_3(__NR_fcntl, a[0], F_SETPIPE_SZ, a[1]); }
static long op_eventfd(struct slot *s, const i64 *a) { return moved(SYS_2(__NR_eventfd2, a[1], a[2]), a[0], a[2]); }

static long op_count(struct slot *s, const i64 *a)
{
	u64 n = a[1];
	return nonblocking(a[0], __NR_write, WORD(&n), 8);
}

static long op_timerfd(struct slot *s, const i64 *a) { return moved(SYS_2(__NR_timerfd_create, a[1], a[2]), a[0], a[2]); }

static long op_timerfd_set(struct slot *s, const i64 *a)
{
	struct timerspec v = {{a[2], a[3]}, {a[1], a[3]}};
	return SYS_4(__NR_timerfd_settime, a[0], a[4], &v, 0);
}

static long op_signalfd(struct slot *s, const i64 *a) { return moved(SYS_4(__NR_signalfd4, -1, &a[1], 8, a[2]), a[0], a[2]); }
static long op_epoll(struct slot *s, const i64 *a) { return moved(SYS_1(__NR_epoll_create1, a[1]), a[0], a[1]); }

static long op_watch(struct slot *s, const i64 *a)
{
	struct epoll_event e = {a[3], a[4]};
	return SYS_4(__NR_epoll_ctl, a[0], a[2], a[1], &e);
}

static long op_flock(struct slot *s, const i64 *a) { return SYS_2(__NR_flock, a[0], a[1] | 4 /* LOCK_NB */); }

struct range { short type, whence; i64 start, len; int pid; };

static long op_record_lock(struct slot *s, const i64 *a)
{
	struct range l = {a[1], 0, a[2], a[3], 0};
	return SYS_3(__NR_fcntl, a[0], F_SETLK, &l);
}

static long op_file_lock(struct slot *s, const i64 *a)
{
	struct range l = {a[1], 0, a[2], a[3], 0};
	return SYS_3(__NR_fcntl, a[0], F_OFD_SETLK, &l);
}

/* Of this thread, or its process; without O_ASYNC no signal comes of it. */
static long op_owner(struct slot *s, const i64 *a)
{
	int owner[2] = {a[1], a[1] ? getpid() : gettid()};
	SYS_3(__NR_fcntl, a[0], 10 /* F_SETSIG */, a[2]);
	return SYS_3(__NR_fcntl, a[0], F_SETOWN_EX, owner);
}

static long op_pidfd(struct slot *s, const i64 *a)
{
	struct slot *of = &control->slot[a[1]];
	return moved(SYS_2(__NR_pidfd_open, a[2] & 0200 ? of->tid : of->tgid, a[2] & ~O_CLOEXEC), a[0], a[2] & O_CLOEXEC);
}

/* What can't be saved, and is refused by its name. */
static long op_refused(struct slot *s, const i64 *a)
{
	char buffer[160];
	switch (a[1]) {
	case 0:
		return moved(SYS_3(__NR_socket, 1, 1, 0), a[0], 0);
	case 1:
		return moved(SYS_3(__NR_socket, 2, 2, 0), a[0], 0);
	case 2:
		return moved(SYS_1(__NR_inotify_init1, 0), a[0], 0);
	case 3:
		return moved(SYS_2(__NR_memfd_create, "shape", 0), a[0], 0);
	case 5:
		SYS_4(__NR_openat, AT_FDCWD, path(buffer, "gone", s - control->slot), O_CREAT | O_RDWR, 0600);
		return SYS_1(__NR_unlink, buffer);
	case 6:
		return moved(SYS_3(__NR_userfaultfd, 0, 0, 0), a[0], 0);
	default:
		return moved(SYS_4(__NR_openat, AT_FDCWD, path(buffer, "", -1), 020200000 | O_RDWR /* O_TMPFILE */, 0600), a[0], 0);
	}
}
