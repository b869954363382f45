/* A process with one odd thing, that its argument names. */
#include <linux/capability.h>
#include <linux/securebits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* An unreaped child that has dumped core. */
static void core(void)
{
	struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
	pid_t child = fork();
	if (child == 0) {
		setrlimit(RLIMIT_CORE, &all);
		prctl(PR_SET_DUMPABLE, 1);
		raise(SIGQUIT);
		_exit(70);
	}
	siginfo_t s;
	if (waitid(P_PID, child, &s, WEXITED | WNOWAIT) || s.si_code != CLD_DUMPED)
		exit(71);
}

/* An inheritable capability that is not in the bounding set any more. */
static void inherit(void)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];
	if (syscall(SYS_capget, &h, d))
		exit(72);
	d[0].inheritable |= 1 << CAP_NET_RAW;
	if (syscall(SYS_capset, &h, d) || prctl(PR_CAPBSET_DROP, CAP_NET_RAW, 0, 0, 0))
		exit(73);
}

/* An ambient capability, and no right to raise one any more. */
static void ambient(void)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];
	if (syscall(SYS_capget, &h, d))
		exit(76);
	d[0].inheritable |= 1 << CAP_NET_RAW;
	if (syscall(SYS_capset, &h, d) || prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0) ||
	    prctl(PR_SET_SECUREBITS, SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED | SECBIT_KEEP_CAPS))
		exit(77);
	d[0].permitted = d[0].effective = 1 << CAP_NET_RAW; /* and none to change that */
	d[1].permitted = d[1].effective = 0;
	if (syscall(SYS_capset, &h, d))
		exit(80);
}

/* More signals and timers than it may have by now. */
static void many(void)
{
	struct rlimit few = {3, 3};
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (int i = 0; i < 40; i++) {
		timer_t id;
		if (sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i}) || timer_create(CLOCK_MONOTONIC, NULL, &id))
			exit(74);
	}
	if (setrlimit(RLIMIT_SIGPENDING, &few))
		exit(75);
}

/* A SIGTRAP for the thread and one for the process, both blocked. */
static sigset_t traps;

static void trap(void)
{
	sigemptyset(&traps);
	sigaddset(&traps, SIGTRAP);
	sigprocmask(SIG_BLOCK, &traps, NULL);
	raise(SIGTRAP);
	sigqueue(getpid(), SIGTRAP, (union sigval){.sival_int = 7});
}

static void take(int sig)
{
	(void)sig;
	siginfo_t s;
	struct timespec now = {0, 0};
	while (sigtimedwait(&traps, &s, &now) > 0)
		printf("signal %d, %s, value %d, %s\n", s.si_signo, s.si_code == SI_QUEUE ? "queued" : "sent",
			s.si_code == SI_QUEUE ? s.si_value.sival_int : 0, s.si_pid == getpid() ? "by itself" : "by another");
	fflush(stdout);
	_exit(0);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 79;
	if (!strcmp(argv[1], "core"))
		core();
	else if (!strcmp(argv[1], "inherit"))
		inherit();
	else if (!strcmp(argv[1], "ambient"))
		ambient();
	else if (!strcmp(argv[1], "many"))
		many();
	else if (!strcmp(argv[1], "trap") || !strcmp(argv[1], "stopped"))
		trap();
	else
		return 78;
	signal(SIGTERM, take);
	printf("begin\n");
	fflush(stdout);
	if (!strcmp(argv[1], "stopped"))
		raise(SIGSTOP);
	for (;;)
		pause();
}
