// vdso is a victim: it finds the functions of its vDSO once, at the start, and
// calls every one of them from several busy threads through the addresses that
// it keeps. Each result is compared with that of the system call. It uses no
// more than a baseline x86-64 processor has, if GLIBC_TUNABLES says so.
//
// Standard output:
//   ready NAME...      the functions that it found
//   ok N N N N         ten times a second: rounds of each thread
//   WRONG what...      once a thread
//   quiet              after SIGUSR1: no thread but the last calls getrandom
//   random N HEX       after SIGUSR2: the first bytes that thread N made since
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 4, FUNCTIONS = 10, KEPT = 8, RANDOM = 32 };

static const char *const names[FUNCTIONS] = {
	"__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_time", "__vdso_clock_getres", "__vdso_getcpu",
	"__vdso_getrandom", "__vdso_sgx_enter_enclave", "__vdso_futex_robust_list64_try_unlock",
	"__vdso_futex_robust_list32_try_unlock",
};
static void *functions[FUNCTIONS];

#define gettime ((int (*)(clockid_t, struct timespec *))functions[0])
#define gettod ((int (*)(struct timeval *, void *))functions[1])
#define gettimes ((time_t (*)(time_t *))functions[2])
#define getresolution ((int (*)(clockid_t, struct timespec *))functions[3])
#define getprocessor ((int (*)(unsigned *, unsigned *, void *))functions[4])
#define makerandom ((ssize_t (*)(void *, size_t, unsigned, void *, size_t))functions[5])
#define enterenclave ((int (*)(uint64_t, uint64_t, uint64_t, unsigned, uint64_t, uint64_t, void *))functions[6])
#define unlock64 ((uint32_t (*)(uint32_t *, uint32_t, uint64_t *))functions[7])
#define unlock32 ((uint32_t (*)(uint32_t *, uint32_t, uint32_t *))functions[8])

struct thread {
	volatile uint64_t rounds;
	const char *volatile wrong;
	volatile int64_t got, want;
	volatile int quiet, kept;
	int number;
	void *state; // of getrandom
	uint64_t random[RANDOM / 8];
	uint64_t keep[KEPT][RANDOM / 8];
};

static struct thread threads[THREADS];
static volatile int want_quiet, want_random;
static struct {
	uint32_t size, prot, flags, reserved[13];
} params; // struct vgetrandom_opaque_params of <linux/random.h>

// ---- without the C library's string functions

static char line[4096];
static size_t used;

static void put(char c)
{
	if (used < sizeof line)
		line[used++] = c;
}

static void text(const char *s)
{
	while (*s)
		put(*s++);
}

static void number(int64_t v)
{
	char d[24];
	int n = 0;
	uint64_t u = v < 0 ? -(uint64_t)v : (uint64_t)v;
	if (v < 0)
		put('-');
	do
		d[n++] = '0' + u % 10;
	while (u /= 10);
	while (n)
		put(d[--n]);
}

static void hex(const uint64_t *b, int n)
{
	for (int i = 0; i < n; i++)
		for (int s = 60; s >= 0; s -= 4)
			put("0123456789abcdef"[b[i] >> s & 15]);
}

static void flush(void)
{
	put('\n');
	for (size_t done = 0; done < used;) {
		ssize_t n = write(1, line + done, used - done);
		if (n < 0 && errno != EINTR)
			break;
		if (n > 0)
			done += n;
	}
	used = 0;
}

static int same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static void die(const char *what)
{
	text("WRONG ");
	text(what);
	flush();
	_exit(1);
}

// ---- the vDSO's symbols

static uint32_t gnu_symbols(const uint32_t *h)
{
	const uint32_t *buckets = h + 4 + h[2] * 2, *chain = buckets + h[0];
	uint32_t last = 0;
	for (uint32_t i = 0; i < h[0]; i++)
		if (buckets[i] > last)
			last = buckets[i];
	if (!last)
		return 0;
	while (!(chain[last - h[1]] & 1))
		last++;
	return last + 1;
}

static void find(void)
{
	const char *base = (const char *)getauxval(AT_SYSINFO_EHDR);
	if (!base)
		die("no vDSO");
	const Elf64_Ehdr *e = (const void *)base;
	const Elf64_Phdr *ph = (const void *)(base + e->e_phoff);
	const Elf64_Dyn *dyn = 0;
	const char *bias = base;
	for (int i = 0; i < e->e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD)
			bias = base + ph[i].p_offset - ph[i].p_vaddr;
		if (ph[i].p_type == PT_DYNAMIC)
			dyn = (const void *)(base + ph[i].p_offset);
	}
	const Elf64_Sym *symbols = 0;
	const char *strings = 0;
	uint32_t count = 0;
	for (; dyn && dyn->d_tag; dyn++) {
		const void *at = bias + dyn->d_un.d_ptr;
		switch (dyn->d_tag) {
		case DT_SYMTAB: symbols = at; break;
		case DT_STRTAB: strings = at; break;
		case DT_HASH: count = ((const uint32_t *)at)[1]; break;
		case DT_GNU_HASH: if (!count) count = gnu_symbols(at); break;
		}
	}
	if (!symbols || !strings || !count)
		die("the vDSO has no symbols");
	text("ready");
	for (uint32_t i = 0; i < count; i++)
		if (symbols[i].st_shndx != SHN_UNDEF && ELF64_ST_TYPE(symbols[i].st_info) == STT_FUNC) {
			const char *name = strings + symbols[i].st_name;
			int f = 0;
			while (f < FUNCTIONS && !(names[f] && same(name, names[f])))
				f++;
			if (f < FUNCTIONS) {
				functions[f] = (void *)(bias + symbols[i].st_value);
				put(' ');
				text(name + 7);
			} else if (name[0] == '_' && name[1] == '_' && name[2] == 'v') {
				used = 0;
				text("WRONG a function that this program does not know: ");
				text(name);
				flush();
				_exit(1);
			}
		}
	flush();
}

// ---- comparisons

static void wrong(struct thread *t, const char *what, int64_t got, int64_t want)
{
	if (!t->wrong)
		t->got = got, t->want = want, t->wrong = what;
}

enum { SECOND = 1000000000 };

static int64_t ns(const struct timespec *t) { return t->tv_sec * (int64_t)SECOND + t->tv_nsec; }

// bracket tells about a value between two that the kernel gave: 1 it fits, 0
// it does not, -1 the program was moved in between.
static int bracket(int64_t before, int64_t v, int64_t after)
{
	if (after < before || after - before > SECOND)
		return -1;
	return v >= before - SECOND && v <= after + SECOND;
}

static const struct {
	clockid_t id;
	const char *time, *res;
} clocks[] = {
	{CLOCK_REALTIME, "clock_gettime(REALTIME)", "clock_getres(REALTIME)"},
	{CLOCK_MONOTONIC, "clock_gettime(MONOTONIC)", "clock_getres(MONOTONIC)"},
	{CLOCK_MONOTONIC_RAW, "clock_gettime(MONOTONIC_RAW)", "clock_getres(MONOTONIC_RAW)"},
	{CLOCK_REALTIME_COARSE, "clock_gettime(REALTIME_COARSE)", "clock_getres(REALTIME_COARSE)"},
	{CLOCK_MONOTONIC_COARSE, "clock_gettime(MONOTONIC_COARSE)", "clock_getres(MONOTONIC_COARSE)"},
	{CLOCK_BOOTTIME, "clock_gettime(BOOTTIME)", "clock_getres(BOOTTIME)"},
	{CLOCK_TAI, "clock_gettime(TAI)", "clock_getres(TAI)"},
	{CLOCK_PROCESS_CPUTIME_ID, "clock_gettime(PROCESS_CPUTIME)", "clock_getres(PROCESS_CPUTIME)"},
	{CLOCK_THREAD_CPUTIME_ID, "clock_gettime(THREAD_CPUTIME)", "clock_getres(THREAD_CPUTIME)"},
};
enum { CLOCKS = sizeof clocks / sizeof *clocks };

struct last {
	int64_t vdso, kernel;
};

// The clocks that never go back.
static int steady(clockid_t id)
{
	return id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE || id == CLOCK_BOOTTIME;
}

static void check_clock(struct thread *t, int c, struct last *last)
{
	struct timespec a, v, b;
	for (int again = 0;; again++) {
		v = (struct timespec){-1, -1};
		syscall(SYS_clock_gettime, clocks[c].id, &a);
		if (gettime(clocks[c].id, &v) != 0)
			return wrong(t, clocks[c].time, -1, 0);
		syscall(SYS_clock_gettime, clocks[c].id, &b);
		int fits = bracket(ns(&a), ns(&v), ns(&b));
		if (v.tv_nsec < 0 || v.tv_nsec >= SECOND || fits == 0 || again == 3)
			return wrong(t, clocks[c].time, ns(&v), ns(&b));
		if (steady(clocks[c].id)) {
			if (ns(&v) < last[c].vdso)
				return wrong(t, "a clock went back", ns(&v), last[c].vdso);
			if (ns(&b) < last[c].kernel)
				return wrong(t, "a system call's clock went back", ns(&b), last[c].kernel);
			last[c] = (struct last){ns(&v), ns(&b)};
		}
		if (fits > 0)
			return;
	}
}

static void check_resolution(struct thread *t, int c)
{
	struct timespec k, v;
	for (int again = 0; again < 2; again++) {
		v = (struct timespec){-1, -1};
		syscall(SYS_clock_getres, clocks[c].id, &k);
		if (getresolution(clocks[c].id, &v) == 0 && ns(&v) == ns(&k))
			return;
	}
	wrong(t, clocks[c].res, ns(&v), ns(&k));
}

static void check_timeofday(struct thread *t)
{
	struct timeval a, v, b;
	for (int again = 0; again < 3; again++) {
		v = (struct timeval){-1, -1};
		syscall(SYS_gettimeofday, &a, 0);
		if (gettod(&v, 0) != 0)
			break;
		syscall(SYS_gettimeofday, &b, 0);
		int fits = bracket(a.tv_sec * (int64_t)SECOND + a.tv_usec * 1000, v.tv_sec * (int64_t)SECOND + v.tv_usec * 1000,
				   b.tv_sec * (int64_t)SECOND + b.tv_usec * 1000);
		if (fits > 0 && v.tv_usec >= 0 && v.tv_usec < 1000000)
			return;
		if (fits == 0)
			break;
	}
	wrong(t, "gettimeofday", v.tv_sec, b.tv_sec);
}

static void check_time(struct thread *t)
{
	int64_t a, v = 0, b = 0;
	time_t stored;
	for (int again = 0; again < 3; again++) {
		a = syscall(SYS_time, 0);
		v = gettimes(&stored);
		b = syscall(SYS_time, 0);
		if (v != stored)
			break;
		if (b >= a && b - a <= 1 && v >= a - 1 && v <= b + 1)
			return;
	}
	wrong(t, "time", v, b);
}

static void check_processor(struct thread *t)
{
	unsigned cpu = -1, node = -1, kcpu, knode;
	uint64_t mask[128];
	for (int again = 0; again < 3; again++) {
		long n = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);
		syscall(SYS_getcpu, &kcpu, &knode, 0);
		if (getprocessor(&cpu, &node, 0) == 0 && cpu / 8 < n && mask[cpu / 64] >> cpu % 64 & 1 && node <= 1024)
			return;
	}
	wrong(t, "getcpu", cpu, kcpu);
}

static void check_random(struct thread *t)
{
	uint64_t b[RANDOM / 8] = {0};
	if (want_quiet && t->number != THREADS - 1) {
		t->quiet = 1;
		return;
	}
	ssize_t n = makerandom(b, RANDOM, 0, t->state, params.size);
	if (n != RANDOM)
		return wrong(t, "getrandom", n, RANDOM);
	for (int i = 0; i < RANDOM / 8; i++) {
		if (b[i] == 0 || b[i] == t->random[i])
			return wrong(t, "getrandom: zeros, or the same again", b[i], i);
		t->random[i] = b[i];
	}
	if (want_random && t->kept < KEPT) {
		for (int i = 0; i < RANDOM / 8; i++)
			t->keep[t->kept][i] = b[i];
		t->kept++;
	}
}

static void check_unlock(struct thread *t)
{
	const uint32_t tid = 1234;
	uint32_t lock = tid, pending32 = 16;
	uint64_t pending64 = 16;
	if (functions[7]) {
		uint32_t was = unlock64(&lock, tid, &pending64);
		if (was != tid || lock != 0 || pending64 != 0)
			wrong(t, "futex_robust_list64_try_unlock", was, lock);
	}
	lock = tid;
	if (functions[8]) {
		uint32_t was = unlock32(&lock, tid, &pending32);
		if (was != tid || lock != 0 || pending32 != 0)
			wrong(t, "futex_robust_list32_try_unlock", was, lock);
	}
}

static void check_enclave(struct thread *t)
{
	static uint64_t run[32]; // struct sgx_enclave_run
	int r = enterenclave(0, 0, 0, 0, 0, 0, run);
	if (r != -EINVAL)
		wrong(t, "sgx_enter_enclave", r, -EINVAL);
}

static void *work(void *arg)
{
	struct thread *t = arg;
	struct last last[CLOCKS] = {{0, 0}};
	for (;; t->rounds++) {
		for (int c = 0; c < CLOCKS; c++) {
			check_clock(t, c, last);
			if (functions[3])
				check_resolution(t, c);
		}
		check_timeofday(t);
		check_time(t);
		check_processor(t);
		if (functions[5])
			check_random(t);
		if (functions[6])
			check_enclave(t);
		check_unlock(t);
	}
	return 0;
}

// ---- the main thread

static void on_quiet(int s) { (void)s, want_random = 0, want_quiet = 1; }
static void on_random(int s) { (void)s, want_quiet = 0, want_random = 1; }

static void *random_state(void)
{
	if (!params.size && makerandom(0, 0, 0, &params, ~0ul) != 0)
		die("getrandom does not tell its state");
	void *p = mmap(0, params.size, params.prot, params.flags, -1, 0);
	if (p == MAP_FAILED)
		die("no state of getrandom");
	return p;
}

static void report_quiet(int *said)
{
	int n = 0;
	for (int i = 0; i < THREADS - 1; i++)
		n += threads[i].quiet || !functions[5];
	if (!want_quiet)
		*said = 0;
	else if (!*said && n == THREADS - 1) {
		*said = 1;
		text("quiet");
		flush();
	}
}

static void report_random(int *said)
{
	int n = 0;
	for (int i = 0; i < THREADS; i++)
		n += threads[i].kept == KEPT || !functions[5];
	if (!want_random || *said || n < THREADS)
		return;
	*said = 1;
	for (int i = 0; i < THREADS; i++) {
		text("random ");
		number(i);
		put(' ');
		for (int k = 0; functions[5] && k < KEPT; k++)
			hex(threads[i].keep[k], RANDOM / 8);
		flush();
	}
}

int main(void)
{
	static int said_quiet, said_random, said_wrong[THREADS];
	signal(SIGUSR1, on_quiet);
	signal(SIGUSR2, on_random);
	signal(SIGPIPE, SIG_IGN);
	find();
	for (int i = 0; i < 5; i++)
		if (!functions[i] && i != 3)
			die("a function is missing");
	for (int i = 0; i < THREADS; i++) {
		pthread_t p;
		threads[i].number = i;
		if (functions[5])
			threads[i].state = random_state();
		if (pthread_create(&p, 0, work, &threads[i]) != 0)
			die("no thread");
	}
	for (;;) {
		struct timespec tenth = {0, SECOND / 10};
		nanosleep(&tenth, 0);
		int bad = 0;
		for (int i = 0; i < THREADS; i++) {
			struct thread *t = &threads[i];
			if (!t->wrong)
				continue;
			bad = 1;
			if (said_wrong[i]++)
				continue;
			text("WRONG ");
			text(t->wrong);
			text(", thread ");
			number(i);
			text(": ");
			number(t->got);
			text(", not ");
			number(t->want);
			flush();
		}
		if (!bad) {
			text("ok");
			for (int i = 0; i < THREADS; i++) {
				put(' ');
				number(threads[i].rounds);
			}
			flush();
		}
		report_quiet(&said_quiet);
		report_random(&said_random);
	}
}
