// capture makes a process with mappings, timers and a name that parsers trip
// over, and prints what /proc says of it, each file after a line "-- name --"
// (auxv in hexadecimal). What a kernel doesn't know is left out. As pid 1 of a
// virtual machine it prints to the second serial line, and switches it off:
//
//	gcc -static -O1 -o init capture.c && echo init | cpio -o -H newc | gzip > initrd
//	qemu-system-x86_64 -m 512 -accel tcg,thread=single -cpu max -kernel vmlinuz -initrd initrd
//	    -append "console=ttyS0 quiet panic=-1" -display none -no-reboot -serial null -serial file:out
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)

static char *map(int prot, int flags, int fd) { return mmap(NULL, PAGE, prot, flags, fd, 0); }

static void file(const char *name, int gone)
{
	int fd = open(name, O_RDWR | O_CREAT, 0644);
	if (ftruncate(fd, PAGE))
		perror(name);
	map(PROT_READ, MAP_PRIVATE, fd);
	close(fd);
	if (gone)
		unlink(name);
}

static void mappings(void)
{
	file("new\nline", 0);
	file("back\\012slash", 0);
	file("  sp ace ", 0);
	file("kept (deleted)", 0);
	file("gone", 1);
	file("gone (deleted)", 1);
	map(PROT_READ, MAP_SHARED, open("kept (deleted)", O_RDONLY));
	map(RW, MAP_PRIVATE, open("/dev/zero", O_RDWR));
	map(RW, MAP_SHARED, open("/dev/zero", O_RDWR));
	prctl(0x53564d41, 0, map(RW, ANON, -1), PAGE, "a name: of 1");
	prctl(0x53564d41, 0, map(RW, MAP_SHARED | MAP_ANONYMOUS, -1), PAGE, "shared name");
	int fd = memfd_create("mine (deleted)", 0), seg = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0600);
	if (!ftruncate(fd, PAGE))
		map(RW, MAP_SHARED, fd);
	shmat(seg, NULL, 0);
	shmctl(seg, IPC_RMID, NULL);
	mlock(map(RW, ANON, -1), PAGE);
	syscall(325, map(RW, ANON, -1), PAGE, 1); // mlock2: on fault
	int advice[] = {MADV_DONTFORK, MADV_DONTDUMP, MADV_WIPEONFORK, MADV_NOHUGEPAGE, MADV_MERGEABLE, 102 /* guard */};
	for (unsigned i = 0; i < sizeof(advice) / sizeof(*advice); i++)
		madvise(map(RW, ANON, -1), PAGE, advice[i]);
	map(RW, ANON | MAP_GROWSDOWN, -1);
	map(RW, ANON | MAP_NORESERVE, -1);
	map(PROT_EXEC, ANON, -1);
	map(RW, 8 /* droppable */ | MAP_ANONYMOUS, -1);
	syscall(462, map(RW, ANON, -1), PAGE, 0); // mseal
}

static void timers(void)
{
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_ptr = (void *)0x1234abcd};
	timer_t id;
	syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &id);
	e.sigev_notify = SIGEV_NONE;
	syscall(SYS_timer_create, CLOCK_REALTIME, &e, &id);
	e.sigev_notify = 4; // SIGEV_THREAD_ID
	((int *)&e)[4] = getpid(); // sigev_notify_thread_id
	syscall(SYS_timer_create, CLOCK_BOOTTIME, &e, &id);
}

static void print(int pid, const char *name)
{
	char path[64], b[PAGE];
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	int fd = open(path, O_RDONLY), hex = !strcmp(name, "auxv");
	if (fd < 0)
		return;
	printf("-- %s --\n", name);
	for (ssize_t n; (n = read(fd, b, sizeof(b))) > 0;) {
		for (ssize_t i = 0; hex && i < n; i++)
			printf("%02x%s", b[i] & 255, i + 1 == n ? "\n" : "");
		if (!hex)
			fwrite(b, 1, n, stdout);
	}
	close(fd);
}

static void boot(void)
{
	mkdir("/proc", 0755);
	mkdir("/dev", 0755);
	mkdir("/tmp", 01777);
	mount("proc", "/proc", "proc", 0, "");
	mount("dev", "/dev", "devtmpfs", 0, "");
	struct termios t;
	if (!freopen("/dev/ttyS1", "w", stdout) || tcgetattr(1, &t))
		return;
	t.c_oflag &= ~OPOST;
	tcsetattr(1, TCSANOW, &t);
}

int main(void)
{
	int ready[2];
	char c;
	if (getpid() == 1)
		boot();
	if (mkdir("/tmp/victim", 0755) || chdir("/tmp/victim") || pipe(ready))
		return 1;
	int pid = fork();
	if (!pid) {
		gid_t groups[] = {4, 20, 4294967290u};
		prctl(PR_SET_NAME, "a) R (b\n c");
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		setgroups(3, groups);
		umask(027);
		mappings();
		timers();
		signal(SIGUSR2, SIG_IGN);
		if (!fork() || write(ready[1], "", 1) < 0)
			_exit(7); // a zombie
		for (;;)
			pause();
	}
	if (read(ready[0], &c, 1) != 1)
		return 1;
	usleep(200000);
	const char *names[] = {"stat", "status", "limits", "timers", "auxv", "maps", "smaps"};
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		print(pid, names[i]);
	char kids[64];
	snprintf(kids, sizeof(kids), "task/%d/children", pid);
	print(pid, kids);
	fflush(stdout);
	tcdrain(1);
	kill(pid, SIGKILL);
	if (getpid() == 1)
		reboot(RB_POWER_OFF);
}
