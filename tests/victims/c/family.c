// A family of processes in one of many shapes. It says "ready" once nobody
// changes any more, and then everybody waits.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *what) { perror(what); exit(1); }

static void rest(void) { for (;;) pause(); }

static void reaper(void) { if (prctl(PR_SET_CHILD_SUBREAPER, 1)) die("subreaper"); }

// clone_ is fork(2) with flags and an exit signal.
static pid_t clone_(unsigned long flags, int sig)
{
	pid_t p = syscall(SYS_clone, flags | sig, 0, 0, 0, 0);
	if (p < 0) die("clone");
	return p;
}

static void reap(pid_t p) { while (waitpid(p, 0, __WALL) < 0 && errno == EINTR); }

// dead waits until a child is a zombie, and leaves it so.
static void dead(pid_t p)
{
	siginfo_t si;
	if (waitid(P_PID, p, &si, WEXITED | WNOWAIT | __WALL)) die("waitid");
}

static int *shared; // memory of all; [0] counts who has come to rest

// settle waits until n others have come to rest.
static void settle(int n) { while (__atomic_load_n(shared, __ATOMIC_SEQ_CST) < n) usleep(500); }
static void come(void) { __atomic_add_fetch(shared, 1, __ATOMIC_SEQ_CST); rest(); }

// daemon_ is the usual double fork; the leader of its session ends, and is a
// zombie until its parent waits.
static pid_t daemon_(int n)
{
	pid_t p = fork();
	if (!p) {
		setsid();
		for (int i = 0; i < n; i++)
			if (!fork())
				come();
		_exit(3);
	}
	return p;
}

static void daemons(void)
{
	reaper();
	reap(daemon_(2));
	dead(daemon_(1));
	settle(3);
}

static void nested(void)
{
	reaper();
	if (!fork()) {
		reaper();
		setsid();
		reap(daemon_(2));
		pid_t p = fork();
		if (!p) { // a daemon that is a subreaper, and has a daemon
			setsid();
			if (!fork()) {
				reaper();
				reap(daemon_(1));
				settle(3);
				come();
			}
			_exit(0);
		}
		reap(p);
		settle(4);
		come();
	}
	settle(5);
}

// before: children that were born before their parents' setsid.
static void before(void)
{
	reaper();
	if (!fork()) {
		if (!fork())
			come();
		setsid();
		if (!fork()) {
			if (!fork())
				come();
			setpgid(0, 0);
			if (!fork()) {
				setsid();
				come();
			}
			come();
		}
		come();
	}
	settle(5);
}

static void groups(void)
{
	reaper();
	pid_t z = fork();
	if (!z) { setpgid(0, 0); _exit(0); }
	setpgid(z, z);
	dead(z); // a zombie leads a group
	if (!fork()) { setpgid(0, z); come(); }
	pid_t a = fork();
	if (!a) {
		setpgid(0, 0);
		while (__atomic_load_n(shared + 1, __ATOMIC_SEQ_CST) == 0) usleep(500);
		setpgid(0, shared[1]);
		while (__atomic_load_n(shared + 2, __ATOMIC_SEQ_CST) == 0) usleep(500);
		come();
	}
	setpgid(a, a);
	pid_t b = fork();
	if (!b) {
		setpgid(0, 0);
		pid_t h = fork(); // it holds the place of a
		if (!h) { setpgid(0, a); rest(); }
		setpgid(h, a);
		__atomic_store_n(shared + 1, getpid(), __ATOMIC_SEQ_CST);
		while (getpgid(a) != getpid()) usleep(500);
		setpgid(0, a); // a and b have swapped
		kill(h, SIGKILL);
		reap(h);
		__atomic_store_n(shared + 2, 1, __ATOMIC_SEQ_CST);
		come();
	}
	pid_t gone = fork(); // a group without its leader
	if (!gone) {
		setpgid(0, 0);
		for (int i = 0; i < 2; i++)
			if (!fork())
				come();
		_exit(0);
	}
	reap(gone);
	settle(5);
}

static int sleeper(void *arg) { (void)arg; come(); return 0; }

static char *stack_(void)
{
	char *s = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return s + 65536;
}

// siblings: CLONE_PARENT siblings that share.
static int sharer(void *arg)
{
	(void)arg;
	if (clone(sleeper, stack_(), CLONE_PARENT | CLONE_VM | CLONE_FILES | SIGCHLD, 0) < 0) die("clone 1");
	if (clone(sleeper, stack_(), CLONE_PARENT | CLONE_VM | CLONE_FS | CLONE_SIGHAND | SIGCHLD, 0) < 0) die("clone 2");
	if (clone(sleeper, stack_(), CLONE_VM | CLONE_FILES | CLONE_FS | SIGUSR1, 0) < 0) die("clone 3");
	come();
	return 0;
}

static void siblings(void)
{
	reaper();
	if (clone(sharer, stack_(), SIGCHLD, 0) < 0) die("clone");
	settle(4);
	pid_t p = fork();
	if (!p) { // the one from whom these have it ends
		pid_t q = clone(sharer, stack_(), CLONE_FILES | SIGCHLD, 0);
		if (q < 0) die("clone");
		settle(8);
		_exit(0);
	}
	settle(8);
	reap(p);
}

// left: a child shares with its grandparent what its parent has left.
static void left(void)
{
	pid_t p = clone_(CLONE_FILES | CLONE_FS, SIGCHLD);
	if (!p) {
		if (!clone_(CLONE_FILES | CLONE_FS, SIGCHLD)) come();
		if (unshare(CLONE_FILES | CLONE_FS)) die("unshare");
		come();
	}
	settle(2);
}

static void caught(int sig) { (void)sig; }

static void zombies(void)
{
	struct rlimit none = {0, 0};
	setrlimit(RLIMIT_CORE, &none);
	sigset_t all;
	sigfillset(&all);
	for (int sig = 1; sig <= 64; sig++) {
		if (sig == SIGCHLD || sig == SIGCONT || sig == SIGURG || sig == SIGWINCH || sig == SIGSTOP || sig == SIGTSTP ||
		    sig == SIGTTIN || sig == SIGTTOU || sig == 32 || sig == 33)
			continue;
		pid_t p = fork();
		if (!p) {
			signal(sig, SIG_DFL);
			sigprocmask(SIG_UNBLOCK, &all, 0);
			char name[16];
			snprintf(name, sizeof name, "z %d) (", sig);
			prctl(PR_SET_NAME, name);
			kill(getpid(), sig);
			rest();
		}
		dead(p);
	}
	int codes[] = {0, 1, 127, 255};
	for (int i = 0; i < 4; i++) {
		pid_t p = fork();
		if (!p) _exit(codes[i]);
		dead(p);
	}
	int sigs[] = {0, SIGUSR1, SIGHUP, SIGTERM, 34, 40, 40, 40, 40, 40, 40, 40, 64};
	for (int i = 0; i < 13; i++) {
		if (sigs[i]) signal(sigs[i], caught);
		pid_t p = clone_(0, sigs[i]);
		if (!p) _exit(i);
		dead(p);
	}
	for (int i = 0; i < 13; i++)
		if (sigs[i]) signal(sigs[i], SIG_DFL); // one more would end us
}

static unsigned rnd(unsigned n)
{
	static unsigned long s;
	if (!s) s = getpid();
	s = s * 6364136223846793005ul + 1442695040888963407ul;
	return (s >> 33) % n;
}

// wild does anything, with up to a number of processes.
static void wild(int depth)
{
	for (int i = 4 + rnd(6); i > 0; i--) {
		pid_t p;
		switch (rnd(10)) {
		case 0: case 1: case 2: case 3: case 4:
			if (__atomic_load_n(shared + 1, __ATOMIC_SEQ_CST) > 24) break;
			unsigned long flags = (unsigned long[]){0, 0, 0, CLONE_FILES, CLONE_FS, CLONE_FILES | CLONE_FS}[rnd(6)];
			int sig = (int[]){SIGCHLD, SIGCHLD, SIGCHLD, SIGCHLD, SIGUSR1, 0, 40}[rnd(7)];
			if (depth > 0 && rnd(5) == 0) flags |= CLONE_PARENT;
			__atomic_add_fetch(shared + 1, 1, __ATOMIC_SEQ_CST);
			if (!clone_(flags, sig)) wild(depth + 1);
			break;
		case 5: setsid(); break;
		case 6: setpgid(0, 0); break;
		case 7: setpgid(0, rnd(2) ? getppid() : getpgid(getppid())); break;
		case 8: if (rnd(2)) reaper(); break;
		case 9:
			p = waitpid(-1, 0, WNOHANG | __WALL);
			(void)p;
			if (depth > 0 && rnd(3) == 0) {
				__atomic_sub_fetch(shared + 1, 1, __ATOMIC_SEQ_CST);
				_exit(rnd(256));
			}
			break;
		}
		usleep(rnd(300));
	}
	if (depth > 0) come();
	while (__atomic_load_n(shared, __ATOMIC_SEQ_CST) < __atomic_load_n(shared + 1, __ATOMIC_SEQ_CST)) usleep(1000);
	usleep(20000);
}

// orphan is the root of its tree in a session, or only a group, without a leader.
static void orphan(int session)
{
	pid_t p = fork();
	if (!p) {
		if (session) setsid(); else setpgid(0, 0);
		if (fork()) _exit(0);
		while (getppid() != *(shared + 3)) usleep(500);
		if (!fork()) come();
		settle(1);
		return;
	}
	shared[3] = getppid();
	reap(p);
	if (session)
		_exit(0);
	munmap(shared, 4096);
	if (chdir("/")) die("chdir"); // out of the way, and still the session's leader
	alarm(120);
	rest();
}

// escape is a tree whose session, or group, somebody outside of it is in: a child
// of its child went to another reaper than the root.
static void escape(int session)
{
	pid_t p = fork();
	if (!p) {
		if (session) setsid(); else setpgid(0, 0);
		if (!fork()) { // it leaves the tree
			munmap(shared, 4096);
			if (session) setpgid(0, 0);
			rest();
		}
		_exit(0);
	}
	dead(p); // and stays a zombie, so that the tree has its id
}

int main(int argc, char **argv)
{
	const char *shape = argc > 1 ? argv[1] : "";
	shared = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!strcmp(shape, "daemons")) daemons();
	else if (!strcmp(shape, "nested")) nested();
	else if (!strcmp(shape, "before")) before();
	else if (!strcmp(shape, "groups")) groups();
	else if (!strcmp(shape, "siblings")) siblings();
	else if (!strcmp(shape, "left")) left();
	else if (!strcmp(shape, "zombies")) zombies();
	else if (!strcmp(shape, "orphan-session")) orphan(1);
	else if (!strcmp(shape, "orphan-group")) orphan(0);
	else if (!strcmp(shape, "escape-session")) escape(1);
	else if (!strcmp(shape, "escape-group")) escape(0);
	else if (!strcmp(shape, "wild")) { signal(SIGUSR1, SIG_IGN); signal(40, SIG_IGN); reaper(); wild(0); }
	else { fprintf(stderr, "no shape %s\n", shape); return 2; }
	printf("ready %d\n", getpid());
	fflush(stdout);
	rest();
}
