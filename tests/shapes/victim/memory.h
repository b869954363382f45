/* Mappings, all in the arena: its pages have numbers. */
static u64 at(i64 page) { return ARENA + page * PAGE; }

static long op_map(struct slot *s, const i64 *a)
{
	return SYS_6(__NR_mmap, at(a[0]), a[1] * PAGE, a[2], a[3] | MAP_ANONYMOUS | MAP_FIXED, -1, 0) < 0 ? -1 : 0;
}

/* Of a file: it is opened for what the mapping needs, and closed again. */
static long op_map_file(struct slot *s, const i64 *a)
{
	char buffer[160];
	int mode = (a[3] & MAP_TYPE) != MAP_PRIVATE && a[2] & PROT_WRITE ? O_RDWR : O_RDONLY;
	int fd = SYS_4(__NR_openat, AT_FDCWD, path(buffer, "f", a[4]), mode, 0);
	if (fd < 0)
		return fd;
	u64 r = SYS_6(__NR_mmap, at(a[0]), a[1] * PAGE, a[2], a[3] | MAP_FIXED, fd, a[5] * PAGE);
	SYS_1(__NR_close, fd);
	return r > -PAGE ? (long)r : 0;
}

static long op_map_fd(struct slot *s, const i64 *a)
{
	u64 r = SYS_6(__NR_mmap, at(a[0]), a[1] * PAGE, a[2], a[3] | MAP_FIXED, a[4], a[5] * PAGE);
	return r > -PAGE ? (long)r : 0;
}

static long op_map_huge(struct slot *s, const i64 *a)
{
	u64 r = SYS_6(__NR_mmap, HUGE_ARENA, 4 << 20, PROT_READ | PROT_WRITE, a[0] | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (r > -PAGE)
		return r;
	SYS_3(__NR_madvise, HUGE_ARENA, 4 << 20, a[1]);
	struct iovec from = {&r, 8}, to = {(void *)(HUGE_ARENA + a[2] * PAGE), 8};
	return SYS_6(__NR_process_vm_writev, getpid(), &from, 1, &to, 1, 0);
}

static long op_unmap(struct slot *s, const i64 *a) { return SYS_2(__NR_munmap, at(a[0]), a[1] * PAGE); }
static long op_protect(struct slot *s, const i64 *a) { return SYS_3(__NR_mprotect, at(a[0]), a[1] * PAGE, a[2]); }

static long op_remap(struct slot *s, const i64 *a)
{
	u64 r = SYS_5(__NR_mremap, at(a[0]), a[1] * PAGE, a[3] * PAGE, a[4] | MREMAP_MAYMOVE | MREMAP_FIXED, at(a[2]));
	return r > -PAGE ? (long)r : 0;
}

static long op_resize(struct slot *s, const i64 *a)
{
	u64 r = SYS_5(__NR_mremap, at(a[0]), a[1] * PAGE, a[2] * PAGE, 0, 0);
	return r > -PAGE ? (long)r : 0;
}

static long op_advise(struct slot *s, const i64 *a) { return SYS_3(__NR_madvise, at(a[0]), a[1] * PAGE, a[2]); }
static long op_guard(struct slot *s, const i64 *a) { return SYS_3(__NR_madvise, at(a[0]), a[1] * PAGE, a[2]); }
static long op_lock(struct slot *s, const i64 *a) { return SYS_3(__NR_mlock2, at(a[0]), a[1] * PAGE, a[2]); }
static long op_unlock(struct slot *s, const i64 *a) { return SYS_2(__NR_munlock, at(a[0]), a[1] * PAGE); }
static long op_lock_all(struct slot *s, const i64 *a) { return SYS_1(__NR_mlockall, a[0]); }
static long op_unlock_all(struct slot *s, const i64 *a) { return SYS_0(__NR_munlockall); }

/* Writing and reading go through a system call: EFAULT and no signal where
   nothing can be there. */
static long op_write(struct slot *s, const i64 *a)
{
	u64 data[8];
	long n = 0;
	for (int i = 0; i < a[1]; i++) {
		for (int k = 0; k < 8; k++)
			data[k] = (a[2] + i) * 0x9e3779b97f4a7c15 + k;
		struct iovec from = {data, sizeof data}, to = {(void *)(at(a[0] + i) + a[2] % 8 * 64), sizeof data};
		n += SYS_6(__NR_process_vm_writev, getpid(), &from, 1, &to, 1, 0) > 0;
	}
	return n;
}

static long op_read(struct slot *s, const i64 *a)
{
	u64 word;
	long n = 0;
	for (int i = 0; i < a[1]; i++) {
		struct iovec to = {&word, 8}, from = {(void *)at(a[0] + i), 8};
		n += SYS_6(__NR_process_vm_readv, getpid(), &to, 1, &from, 1, 0) > 0;
	}
	return n;
}

static long op_brk(struct slot *s, const i64 *a)
{
	u64 now = SYS_1(__NR_brk, 0);
	return SYS_1(__NR_brk, now + a[0]) == now + a[0] ? 0 : -1;
}
