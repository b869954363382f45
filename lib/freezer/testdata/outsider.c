/* outsider RELATION KIND: a tree, whose root is a child of this process, and an
 * outsider that shares something with it. RELATION: sibling, nephew (a child of
 * a child of this process), thread (one thread of another process), headless (a
 * sibling whose first thread has ended, while another runs) or descendant (with a grandchild of this process, in the tree). KIND: vm, files, fs. Says
 * "ok ROOT TASK" all the time. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile int *at; /* [0] the root, [1] the task that shares, [2] the first process */
static unsigned long kind;

static int rest(void *arg)
{
	(void)arg;
	for (;;)
		pause();
}

/* Nobody outlives the first process, not even who has not run when that ends. */
static int born(void *f)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (kill(at[2], 0))
		_exit(1);
	return ((int (*)(void *))f)(0);
}

static pid_t spawn(int (*f)(void *), unsigned long flags)
{
	char *stack = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return clone(born, stack + 65536, flags | SIGCHLD, (void *)f);
}

static int with_sibling(void *arg)
{
	at[1] = getpid();
	spawn(rest, CLONE_PARENT | kind);
	return rest(arg);
}

static int behead(void *arg)
{
	(void)arg;
	spawn(rest, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD);
	syscall(SYS_exit, 0);
	return 0;
}

static int with_headless(void *arg)
{
	at[1] = getpid();
	spawn(behead, CLONE_PARENT | kind);
	return rest(arg);
}

static int make_nephew(void *arg)
{
	spawn(rest, kind); /* the nephew shares with this process, ... */
	at[0] = at[1] = spawn(rest, CLONE_PARENT | kind); /* and so does the root */
	unshare(kind == CLONE_VM ? 0 : kind);
	if (kind == CLONE_VM)
		execlp("sleep", "sleep", "60", (char *)0);
	return rest(arg);
}

static void *leave(void *arg)
{
	unshare(CLONE_FILES | CLONE_FS);
	at[0] = at[1] = spawn(rest, kind);
	return (void *)(long)rest(arg);
}

static int make_thread(void *arg)
{
	pthread_t t;
	pthread_create(&t, 0, leave, 0);
	return rest(arg);
}

static int with_descendant(void *arg)
{
	pid_t p = spawn(with_sibling, 0); /* its sibling is in the tree */
	(void)p;
	return rest(arg);
}

int main(int argc, char **argv)
{
	at = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	at[2] = getpid();
	const char *how = argv[1];
	kind = !strcmp(argv[2], "vm") ? CLONE_VM : !strcmp(argv[2], "files") ? CLONE_FILES : CLONE_FS;
	if (!strcmp(how, "sibling"))
		at[0] = spawn(with_sibling, 0);
	else if (!strcmp(how, "headless"))
		at[0] = spawn(with_headless, 0);
	else if (!strcmp(how, "nephew"))
		spawn(make_nephew, 0);
	else if (!strcmp(how, "thread"))
		spawn(make_thread, 0);
	else
		at[0] = spawn(with_descendant, 0);
	for (;;) {
		if (at[0] && at[1])
			printf("ok %d %d\n", at[0], at[1]);
		fflush(stdout);
		usleep(20000);
	}
}
