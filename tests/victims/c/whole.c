/* A small tree that has one of everything, and says on request what it sees of
   itself: a line "ID\n" on standard input is answered by a report that begins
   with ID and ends with "end". What it reports is the same however often it is
   asked, and asking changes nothing. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define GUARD_INSTALL 102

#define MUST(x)                                                                     \
	do {                                                                        \
		if ((long)(x) == -1) {                                              \
			dprintf(2, "%s:%d: %s: %s\n", __FILE__, __LINE__, #x, strerror(errno)); \
			_exit(99);                                                  \
		}                                                                   \
	} while (0)

/* A text in the making: one a thread. */
static __thread char text[8192];
static __thread size_t length;
static __thread int own = 4711;

static void say(const char *f, ...)
{
	va_list ap;
	va_start(ap, f);
	length += vsnprintf(text + length, sizeof text - length, f, ap);
	va_end(ap);
}

static uint32_t digest(const void *p, size_t n)
{
	const unsigned char *b = p;
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < n; i++)
		h = (h ^ b[i]) * 16777619u;
	return h;
}

/* Actors are asked through one pipe and answer through another. */
struct actor {
	int ask[2], answer[2];
	void (*tell)(void);
};
static struct actor thread_actor, child_actor, user_actor;

static void *serve(void *p)
{
	struct actor *a = p;
	char c;
	for (;;) {
		ssize_t n = read(a->ask[0], &c, 1);
		if (n == -1 && errno == EINTR)
			continue;
		if (n != 1)
			_exit(98);
		length = 0;
		a->tell();
		if (write(a->answer[1], text, length) != (ssize_t)length)
			_exit(97);
	}
}

static void actor(struct actor *a, void (*tell)(void))
{
	a->tell = tell;
	MUST(pipe2(a->ask, O_CLOEXEC));
	MUST(pipe2(a->answer, O_CLOEXEC));
}

static void ask(struct actor *a)
{
	if (write(a->ask[1], "?", 1) != 1)
		_exit(96);
	ssize_t n = read(a->answer[0], text + length, sizeof text - length);
	if (n <= 0)
		_exit(95);
	length += n;
}

/* Signals that wait: RTMIN+1 and USR1 for the process, RTMIN+3 and USR2 for a
   thread. */
static int of_thread(int s) { return s == SIGRTMIN + 3 || s == SIGUSR2; }

static void queued(void)
{
	siginfo_t list[32];
	sigset_t set;
	int n = 0;
	struct timespec now = {0};
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGRTMIN + 1);
	sigaddset(&set, SIGRTMIN + 3);
	while (n < 32 && sigtimedwait(&set, &list[n], &now) > 0)
		n++;
	for (int i = 0; i < n; i++) {
		siginfo_t *s = &list[i];
		say(" %d/%d/%d", s->si_signo, s->si_code, s->si_value.sival_int);
		if (of_thread(s->si_signo))
			MUST(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), s->si_signo, s));
		else
			MUST(syscall(SYS_rt_sigqueueinfo, getpid(), s->si_signo, s));
	}
}

static void queue(int sig, int value)
{
	siginfo_t s = {.si_signo = sig, .si_code = SI_QUEUE};
	s.si_pid = getpid();
	s.si_uid = getuid();
	s.si_value.sival_int = value;
	if (of_thread(sig))
		MUST(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), sig, &s));
	else
		MUST(syscall(SYS_rt_sigqueueinfo, getpid(), sig, &s));
}

static void about_thread(const char *name)
{
	stack_t st = {0};
	sigset_t mask;
	struct sched_param sp;
	int death = 0, nnp = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
	sigaltstack(NULL, &st);
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	sched_getparam(0, &sp);
	prctl(PR_GET_PDEATHSIG, &death);
	say("%s pid %d parent %d group %d session %d tid %d own %d\n", name, getpid(), getppid(), getpgrp(), getsid(0), gettid(), own);
	say("%s mask %016lx altstack %zx policy %d/%d nice %d death %d slack %d nnp %d dumpable %d secure %d\n", name, *(long *)&mask, st.ss_size,
	    sched_getscheduler(0), sp.sched_priority, getpriority(PRIO_PROCESS, 0), death, prctl(PR_GET_TIMERSLACK), nnp, prctl(PR_GET_DUMPABLE),
	    prctl(PR_GET_SECUREBITS));
	say("%s pending", name);
	queued();
	say("\n");
}

static void tell_thread(void) { about_thread("thread"); }

/* What parent and child share, and what each has for itself. */
static volatile struct {
	int turn;
} *shared;
static char *private, *locked, *guarded, *mapped, *readonly;
static int flocked;

static void tell_child(void)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 20};
	int fd = open("locked", O_RDWR | O_CLOEXEC);
	about_thread("child");
	MUST(fd);
	MUST(fcntl(fd, F_GETLK, &l));
	say("child lock %d %d %ld %ld flock %d\n", l.l_type, l.l_pid, (long)l.l_start, (long)l.l_len, flock(fd, LOCK_EX | LOCK_NB) == -1 ? errno : 0);
	close(fd);
	shared->turn++;
	say("child memory %08x %08x\n", digest(private, 8 * PAGE), digest(mapped, 2 * PAGE));
}

static void tell_user(void)
{
	gid_t g[8];
	uid_t r, e, s;
	int n = getgroups(8, g);
	about_thread("user");
	getresuid(&r, &e, &s);
	say("user ids %d %d %d groups %d", r, e, s, n);
	for (int i = 0; i < n; i++)
		say(" %d", g[i]);
	getresgid(&r, &e, &s);
	say(" %d %d %d caps %d\n", r, e, s, prctl(PR_CAPBSET_READ, CAP_SYS_CHROOT));
}

static int content[2], scratch[2], fifo, counter, watcher, clockfd, file, stopped_says[2];
static pid_t stopped, dead, killed;
static timer_t timer;

static char state(pid_t pid)
{
	char path[32], b[256], *p;
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, b, sizeof b - 1);
	close(fd);
	b[n > 0 ? n : 0] = 0;
	p = strrchr(b, ')');
	return p ? p[2] : '?';
}

static void nap(void) { poll(NULL, 0, 1); }

static void settle(void)
{
	for (int i = 0; i < 2000 && state(stopped) != 'T'; i++)
		nap();
}

/* Wakes the stopped child: it says so, and stops again. Whoever lets go of a
   stopped task has it run inside the kernel for a moment; had it run further, it
   would have said something before. */
static void wake(void)
{
	char c = 0;
	int early;
	settle();
	char before = state(stopped);
	MUST(ioctl(stopped_says[0], FIONREAD, &early));
	MUST(kill(stopped, SIGCONT));
	ssize_t n = read(stopped_says[0], &c, 1);
	settle();
	say("stopped %c %d %zd %c %c\n", before, early, n, c, state(stopped));
}

static void zombie(const char *name, pid_t pid)
{
	siginfo_t s = {0};
	int r = waitid(P_PID, pid, &s, WEXITED | WNOWAIT | WNOHANG);
	say("%s %d %d %d %d\n", name, r, s.si_pid, s.si_code, s.si_status);
}

static void there_and_back(const char *name, int from, int to)
{
	static char b[16384];
	ssize_t n = read(from, b, sizeof b);
	say("%s %zd %08x\n", name, n, n > 0 ? digest(b, n) : 0);
	if (n > 0 && write(to, b, n) != n)
		_exit(94);
}

static void descriptors(void)
{
	struct epoll_event ev[8];
	uint64_t v = 0;
	struct itimerspec t;
	there_and_back("pipe", content[0], content[1]);
	there_and_back("fifo", fifo, fifo);
	ssize_t n = read(counter, &v, 8);
	say("counter %zd %lu\n", n, v);
	if (n == 8 && write(counter, &v, 8) != 8)
		_exit(93);
	int e = epoll_wait(watcher, ev, 8, 0), bits = 0;
	for (int i = 0; i < e; i++)
		bits |= ev[i].data.u32;
	say("epoll %d %x\n", e, bits);
	MUST(timerfd_gettime(clockfd, &t));
	say("timerfd %d %ld\n", t.it_value.tv_sec > 1000, (long)t.it_interval.tv_sec);
	say("file %ld\n", (long)lseek(file, 0, SEEK_CUR));
}

static void clocks(void)
{
	struct itimerspec t;
	struct itimerval it;
	MUST(timer_gettime(timer, &t));
	MUST(getitimer(ITIMER_REAL, &it));
	say("timer %d %ld itimer %d %ld\n", t.it_value.tv_sec > 1000, (long)t.it_interval.tv_sec, it.it_value.tv_sec > 1000, (long)it.it_interval.tv_sec);
}

static void memory(void)
{
	int g = write(scratch[1], guarded + PAGE, 1) == -1 ? errno : 0;
	say("memory %08x %08x %08x %08x guard %d\n", digest(private, 8 * PAGE), digest(locked, 4 * PAGE), digest(mapped, 2 * PAGE), digest(readonly, PAGE), g);
	say("beside the guard %08x %08x\n", digest(guarded, PAGE), digest(guarded + 2 * PAGE, PAGE));
}

static void report(void)
{
	struct rlimit a, b, c;
	int turn = shared->turn;
	about_thread("root");
	ask(&thread_actor);
	ask(&child_actor);
	ask(&user_actor);
	say("shared %d\n", shared->turn - turn);
	descriptors();
	clocks();
	memory();
	zombie("dead", dead);
	zombie("killed", killed);
	wake();
	getrlimit(RLIMIT_NOFILE, &a);
	getrlimit(RLIMIT_CORE, &b);
	getrlimit(RLIMIT_STACK, &c);
	say("limits %lu %lu %lu %lu %lu\n", a.rlim_cur, a.rlim_max, b.rlim_cur, c.rlim_cur, c.rlim_max);
}

static void block(void)
{
	sigset_t set;
	sigemptyset(&set);
	for (int s = 0; s < 4; s++)
		sigaddset(&set, (int[]){SIGUSR1, SIGUSR2, SIGRTMIN + 1, SIGRTMIN + 3}[s]);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void *thread(void *p)
{
	static char stack[16384];
	stack_t st = {.ss_sp = stack, .ss_size = sizeof stack};
	own = 4712;
	prctl(PR_SET_NAME, "a thread");
	prctl(PR_SET_TIMERSLACK, 70000);
	MUST(sigaltstack(&st, NULL));
	queue(SIGRTMIN + 3, 1);
	queue(SIGRTMIN + 3, 2);
	return serve(p);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;

static volatile int waiting;

static void *waiter(void *p)
{
	pthread_mutex_lock(&mutex);
	waiting = 1;
	for (;;)
		pthread_cond_wait(&never, &mutex);
	return p;
}

/* Memory that the kernel doesn't merge with any other. */
static char *area(size_t pages)
{
	char *p = mmap(NULL, (pages + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(p);
	MUST(mprotect(p + PAGE, pages * PAGE, PROT_READ | PROT_WRITE));
	return p + PAGE;
}

static void make_memory(void)
{
	int fd = open("mapped", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	MUST(fd);
	MUST(ftruncate(fd, 2 * PAGE));
	MUST(pwrite(fd, "a file", 6, 0));
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	mapped = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	private = area(8);
	locked = area(4);
	guarded = area(3);
	readonly = area(1);
	close(fd);
	memset(private, 'p', 3 * PAGE);
	memset(locked, 'l', 4 * PAGE);
	memset(guarded, 'g', PAGE);
	memset(guarded + 2 * PAGE, 'h', PAGE);
	memset(readonly, 'r', PAGE);
	mapped[PAGE] = 'm';
	MUST(mlock(locked, 4 * PAGE));
	MUST(madvise(guarded + PAGE, PAGE, GUARD_INSTALL));
	MUST(mprotect(readonly, PAGE, PROT_READ));
}

static void make_descriptors(void)
{
	static char b[5000];
	struct epoll_event ev = {.events = EPOLLIN};
	struct itimerspec t = {.it_value.tv_sec = 1 << 20, .it_interval.tv_sec = 77};
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 20};
	memset(b, 'c', sizeof b);
	MUST(pipe2(content, O_NONBLOCK | O_CLOEXEC));
	MUST(write(content[1], b, sizeof b));
	MUST(pipe2(scratch, O_NONBLOCK | O_CLOEXEC));
	MUST(mkfifo("fifo", 0600));
	MUST(fifo = open("fifo", O_RDWR | O_NONBLOCK | O_CLOEXEC));
	MUST(write(fifo, "in the fifo", 11));
	MUST(counter = eventfd(42, EFD_NONBLOCK | EFD_CLOEXEC));
	MUST(clockfd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
	MUST(timerfd_settime(clockfd, 0, &t, NULL));
	MUST(watcher = epoll_create1(EPOLL_CLOEXEC));
	for (int i = 0; i < 3; i++) {
		ev.data.u32 = 1 << i;
		MUST(epoll_ctl(watcher, EPOLL_CTL_ADD, (int[]){content[0], counter, clockfd}[i], &ev));
	}
	MUST(file = open("locked", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
	MUST(write(file, b, 1000));
	MUST(lseek(file, 123, SEEK_SET));
	MUST(fcntl(file, F_SETLK, &l));
	MUST(flocked = open("locked", O_RDONLY | O_CLOEXEC));
	MUST(flock(flocked, LOCK_SH));
}

static void make_clocks(void)
{
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct itimerspec t = {.it_value.tv_sec = 1 << 20, .it_interval.tv_sec = 78};
	struct itimerval it = {.it_value.tv_sec = 1 << 20, .it_interval.tv_sec = 79};
	MUST(timer_create(CLOCK_MONOTONIC, &e, &timer));
	MUST(timer_settime(timer, 0, &t, NULL));
	MUST(setitimer(ITIMER_REAL, &it, NULL));
}

static void user(void)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {{.effective = 1 << CAP_NET_BIND_SERVICE, .permitted = 1 << CAP_NET_BIND_SERVICE}};
	MUST(setsid());
	MUST(prctl(PR_CAPBSET_DROP, CAP_SYS_CHROOT, 0, 0, 0));
	MUST(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
	MUST(syscall(SYS_setgroups, 3, (gid_t[]){1001, 1002, 20}));
	MUST(syscall(SYS_setresgid, 1001, 1001, 1001));
	MUST(syscall(SYS_setresuid, 1001, 1001, 1001));
	MUST(syscall(SYS_capset, &h, d));
	MUST(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	serve(&user_actor);
}

static void child(void)
{
	struct sched_param sp = {0};
	MUST(setpgid(0, 0));
	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	MUST(prctl(PR_SET_PDEATHSIG, SIGTERM));
	MUST(sched_setscheduler(0, SCHED_BATCH, &sp));
	MUST(setpriority(PRIO_PROCESS, 0, 3));
	private[0] = 'q';
	queue(SIGRTMIN + 1, 7);
	serve(&child_actor);
}

static void stops(void)
{
	for (;;) {
		raise(SIGSTOP);
		if (write(stopped_says[1], "w", 1) != 1)
			_exit(92);
	}
}

static pid_t fork_to(void (*f)(void))
{
	pid_t pid = fork();
	MUST(pid);
	if (pid == 0) {
		f();
		_exit(7);
	}
	return pid;
}

static void exits(void) {}

static void make_processes(void)
{
	pthread_t id;
	siginfo_t s;
	actor(&thread_actor, tell_thread);
	actor(&child_actor, tell_child);
	actor(&user_actor, tell_user);
	MUST(pipe2(stopped_says, O_CLOEXEC));
	fork_to(child);
	fork_to(user);
	dead = fork_to(exits);
	killed = fork_to((void (*)(void))pause);
	stopped = fork_to(stops);
	MUST(kill(killed, SIGKILL));
	MUST(waitid(P_PID, dead, &s, WEXITED | WNOWAIT));
	MUST(waitid(P_PID, killed, &s, WEXITED | WNOWAIT));
	MUST(waitid(P_PID, stopped, &s, WSTOPPED));
	pthread_create(&id, NULL, thread, &thread_actor);
	pthread_create(&id, NULL, waiter, NULL);
	for (int seen = 0; !seen; nap()) {
		pthread_mutex_lock(&mutex);
		seen = waiting;
		pthread_mutex_unlock(&mutex);
	}
}

static void nothing(int s) { (void)s; }

static void limit(int what, rlim_t cur, rlim_t max)
{
	struct rlimit l = {cur, max};
	MUST(setrlimit(what, &l));
}

int main(void)
{
	static char line[64];
	struct sigaction sa = {.sa_handler = nothing, .sa_flags = SA_RESTART};
	block();
	sigaction(SIGHUP, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	umask(027);
	limit(RLIMIT_NOFILE, 200, 300);
	limit(RLIMIT_CORE, 0, 1 << 20);
	limit(RLIMIT_STACK, 4 << 20, 16 << 20);
	make_memory();
	make_descriptors();
	make_clocks();
	queue(SIGRTMIN + 1, 3);
	queue(SIGRTMIN + 1, 4);
	queue(SIGUSR1, 5);
	queue(SIGRTMIN + 3, 6);
	queue(SIGUSR2, 8);
	make_processes();
	for (;;) {
		size_t n = 0;
		while (n == 0 || line[n - 1] != '\n') {
			ssize_t r = read(0, line + n, 1);
			if (r == -1 && errno == EINTR)
				continue;
			if (r != 1)
				_exit(91);
			n++;
		}
		length = 0;
		say("%.*s", (int)n, line);
		report();
		say("end\n");
		if (write(1, text, length) != (ssize_t)length)
			_exit(90);
	}
}
