/* shapes MODE: processes of a given shape. Says "ok" all the time. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void nap(long us)
{
	struct timespec t = {us / 1000000, us % 1000000 * 1000};
	while (nanosleep(&t, &t) != 0)
		;
}

static _Noreturn void report(void)
{
	for (;;) {
		puts("ok");
		fflush(stdout);
		nap(20000);
	}
}

static pid_t child(void)
{
	pid_t p = fork();
	if (p == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return p;
}

static _Noreturn void sleep_on(void)
{
	for (;;)
		pause();
}

/* A zombie with status 7, one that SIGTERM ended, a stopped child, a child in a
   group and one in a session of its own, each with a child; one with SIGUSR1 as
   its exit signal. */
static void family(void)
{
	if (child() == 0)
		_exit(7);
	pid_t p = child();
	if (p == 0)
		sleep_on();
	kill(p, SIGTERM);
	if (child() == 0) {
		raise(SIGSTOP);
		sleep_on();
	}
	if (child() == 0) {
		setpgid(0, 0);
		if (child() == 0)
			sleep_on();
		sleep_on();
	}
	if (child() == 0) {
		setsid();
		if (child() == 0)
			sleep_on();
		sleep_on();
	}
	if (syscall(SYS_clone, SIGUSR1, 0, 0, 0, 0) == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sleep_on();
	}
	nap(100000);
}

static void on(int s) {}

/* Everything that a record has a field for. */
static void fields(void)
{
	static char stack[1 << 16];
	stack_t ss = {.ss_sp = stack, .ss_size = sizeof stack};
	struct sigaction sa = {.sa_handler = on, .sa_flags = SA_RESTART | SA_NODEFER};
	struct itimerval it = {{5, 0}, {1000, 500000}};
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2, .sigev_value.sival_int = 77};
	struct itimerspec its = {{3, 0}, {2000, 250}};
	struct rlimit rl = {64, 128};
	sigset_t s;
	timer_t id;
	sigaddset(&sa.sa_mask, SIGHUP);
	sigaction(SIGUSR1, &sa, NULL);
	signal(SIGTTIN, SIG_IGN);
	sigaltstack(&ss, NULL);
	setitimer(ITIMER_REAL, &it, NULL);
	timer_create(CLOCK_MONOTONIC, &ev, &id);
	timer_settime(id, 0, &its, NULL);
	setrlimit(RLIMIT_NOFILE, &rl);
	umask(027);
	setpriority(PRIO_PROCESS, 0, 5);
	prctl(PR_SET_NAME, "odd) name");
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	prctl(PR_SET_TIMERSLACK, 123456);
	prctl(PR_SET_PDEATHSIG, SIGWINCH);
	sigemptyset(&s);
	sigaddset(&s, SIGRTMIN + 1);
	sigaddset(&s, SIGUSR2);
	sigprocmask(SIG_BLOCK, &s, NULL);
	union sigval v = {.sival_int = 1};
	sigqueue(getpid(), SIGRTMIN + 1, v);
	v.sival_int = 2;
	sigqueue(getpid(), SIGRTMIN + 1, v);
	pthread_kill(pthread_self(), SIGUSR2);
	setgid(1234);
	setuid(4321);
}

/* Short-lived children all the time. */
static void bomb(void)
{
	for (;;) {
		pid_t p = child();
		if (p == 0) {
			if (child() == 0)
				nap(500);
			_exit(0);
		}
		puts("ok");
		fflush(stdout);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		nap(300);
	}
}

static _Noreturn void *short_thread(void *arg)
{
	nap(200);
	pthread_exit(NULL);
}

/* Short-lived threads all the time. */
static void threads(void)
{
	for (;;) {
		pthread_t t;
		if (pthread_create(&t, NULL, short_thread, NULL) == 0)
			pthread_detach(t);
		puts("ok");
		fflush(stdout);
		nap(100);
	}
}

/* A vfork child that takes its time. */
static void vforks(void)
{
	for (;;) {
		if (vfork() == 0) {
			syscall(SYS_nanosleep, &(struct timespec){0, 20000000}, NULL);
			execl("/bin/true", "true", (char *)NULL);
			_exit(1);
		}
		puts("ok");
		fflush(stdout);
		wait(NULL);
		nap(10000);
	}
}

/* One that takes too long. */
static void longvfork(void)
{
	puts("ok");
	puts("ok");
	puts("ok");
	fflush(stdout);
	if (vfork() == 0) {
		syscall(SYS_nanosleep, &(struct timespec){1000, 0}, NULL);
		_exit(1);
	}
}

/* Execs itself from a thread that is not the first, again and again. */
static _Noreturn void *exec_thread(void *arg)
{
	nap(1000);
	execl("/proc/self/exe", "shapes", "execs", (char *)NULL);
	_exit(3);
}

static void execs(void)
{
	pthread_t t;
	puts("ok");
	fflush(stdout);
	pthread_create(&t, NULL, exec_thread, NULL);
	sleep_on();
}

/* Nearly always in the vDSO. */
static void clocks(void)
{
	for (;;) {
		struct timespec t;
		for (int i = 0; i < 1000000; i++)
			clock_gettime(CLOCK_MONOTONIC, &t);
		puts("ok");
		fflush(stdout);
	}
}

/* Works in restartable sequences. Each begins by clearing a word that the test
   sets while the program is frozen: one that is cut and then goes on, instead
   of being begun again, finds it set. */
static void rseqs(void)
{
	struct rs { uint32_t cpu_start, cpu; uint64_t cs; uint32_t flags; } __attribute__((aligned(32)));
	struct rs *rs = (struct rs *)((char *)__builtin_thread_pointer() + __rseq_offset);
	static volatile int set;
	for (;;) {
		uint64_t wrong = 0, aborts = 0;
		for (int i = 0; i < 2000; i++)
			__asm__ volatile(
				".pushsection __rseq_cs, \"aw\"\n"
				".balign 32\n"
				"3: .long 0, 0\n"
				".quad 1f, 2f - 1f, 4f\n"
				".popsection\n"
				"6: lea 3b(%%rip), %%rax\n"
				"mov %%rax, %c[cs](%[rs])\n"
				"1: movl $0, %[set]\n"
				"mov $3000, %%rdx\n"
				"5: cmpl $0, %[set]\n"
				"jne 7f\n"
				"dec %%rdx\n"
				"jnz 5b\n"
				"jmp 2f\n"
				"7: movq $1, %[wrong]\n"
				"2:\n"
				".pushsection __rseq_failure, \"ax\"\n"
				".byte 0x0f, 0xb9, 0x3d\n"
				".long 0x53053053\n"
				"4: incq %[aborts]\n"
				"jmp 6b\n"
				".popsection\n"
				: [set] "+m"(set), [aborts] "+m"(aborts), [wrong] "+m"(wrong)
				: [rs] "r"(rs), [cs] "i"(8)
				: "rax", "rdx", "cc", "memory");
		if (wrong) {
			puts("bad: a critical section was cut and went on");
			exit(1);
		}
		printf("ok %p %lu\n", (void *)&set, aborts);
		fflush(stdout);
	}
}

/* Catches SIGURG, SIGWINCH and SIGCHLD, and ignores nothing. */
static void catcher(void)
{
	struct sigaction sa = {.sa_handler = on, .sa_flags = SA_RESTART};
	sigaction(SIGURG, &sa, NULL);
	sigaction(SIGWINCH, &sa, NULL);
	sigaction(SIGCHLD, &sa, NULL);
}

static _Noreturn void *outlive(void *arg) { report(); }

int main(int argc, char **argv)
{
	const char *mode = argv[1];
	if (!strcmp(mode, "family"))
		family();
	else if (!strcmp(mode, "fields"))
		fields();
	else if (!strcmp(mode, "bomb"))
		bomb();
	else if (!strcmp(mode, "threads"))
		threads();
	else if (!strcmp(mode, "vforks"))
		vforks();
	else if (!strcmp(mode, "longvfork"))
		longvfork();
	else if (!strcmp(mode, "execs"))
		execs();
	else if (!strcmp(mode, "clocks"))
		clocks();
	else if (!strcmp(mode, "rseqs"))
		rseqs();
	else if (!strcmp(mode, "catcher"))
		catcher();
	else if (!strcmp(mode, "seccomp"))
		prctl(PR_SET_SECCOMP, 1);
	else if (!strcmp(mode, "unshared"))
		unshare(CLONE_NEWUTS);
	else if (!strcmp(mode, "leaderless")) {
		pthread_t t;
		pthread_create(&t, NULL, outlive, NULL);
		pthread_exit(NULL);
	}
	if (!strcmp(mode, "seccomp"))
		for (;;)
			write(1, "ok\n", 3);
	report();
}
