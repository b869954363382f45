// kinds makes mappings, one for each of its arguments, prints "name address"
// for each, and waits. What the kernel can't do it says, and ends.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/if_packet.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>

#define PAGE 4096
#define SYS_MLOCK2 325
#define SYS_MEMFD_SECRET 447
#define SYS_IO_URING_SETUP 425
#define SYS_MSEAL 462
#define MAP_DROPPABLE_ 8
#define GUARD_INSTALL 102
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static const char *kind;

static void die(const char *what)
{
	fprintf(stderr, "kinds: %s: %s: %s\n", kind, what, strerror(errno));
	exit(1);
}

static char *at;

static char *map(size_t n, int prot, int flags, int fd, off_t off)
{
	at = mmap(NULL, n, prot, flags, fd, off);
	if (at == MAP_FAILED)
		die("mmap");
	return at;
}

static char *anon(void) { return map(PAGE, PROT_READ | PROT_WRITE, ANON, -1, 0); }

static void must(long r, const char *what)
{
	if (r < 0)
		die(what);
}

static int file(const char *name, size_t size)
{
	int fd = open(name, O_RDWR | O_CREAT, 0640);
	must(fd, name);
	must(ftruncate(fd, size), "ftruncate");
	return fd;
}

static void advised(int advice)
{
	must(madvise(anon(), PAGE, advice), "madvise");
}

static void files(const char *k)
{
	if (!strcmp(k, "private")) {
		map(2 * PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, file("f", 3 * PAGE), PAGE);
	} else if (!strcmp(k, "shared")) {
		map(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file("f", 3 * PAGE), 2 * PAGE);
	} else if (!strcmp(k, "sharedro")) {
		close(file("f", 3 * PAGE));
		map(PAGE, PROT_READ, MAP_SHARED, open("f", O_RDONLY), 0);
	} else if (!strcmp(k, "newline")) {
		map(PAGE, PROT_READ, MAP_PRIVATE, file("new\nline", PAGE), 0);
	} else if (!strcmp(k, "backslash")) {
		map(PAGE, PROT_READ, MAP_PRIVATE, file("back\\012slash", PAGE), 0);
	} else if (!strcmp(k, "spaces")) {
		map(PAGE, PROT_READ, MAP_PRIVATE, file("  sp ace ", PAGE), 0);
	} else if (!strcmp(k, "suffix")) {
		map(PAGE, PROT_READ, MAP_PRIVATE, file("kept (deleted)", PAGE), 0);
	} else if (!strcmp(k, "deleted")) {
		map(PAGE, PROT_READ, MAP_PRIVATE, file("gone", PAGE), 0);
		must(unlink("gone"), "unlink");
	} else if (!strcmp(k, "suffixdeleted")) {
		map(PAGE, PROT_READ, MAP_PRIVATE, file("gone (deleted)", PAGE), 0);
		must(unlink("gone (deleted)"), "unlink");
	} else if (!strcmp(k, "replaced")) {
		map(PAGE, PROT_READ, MAP_SHARED, file("lib.so", PAGE), 0);
		close(file("lib.so.new", PAGE));
		must(rename("lib.so.new", "lib.so"), "rename");
	} else if (!strcmp(k, "otherlink")) {
		map(PAGE, PROT_READ, MAP_PRIVATE, file("one", PAGE), 0);
		must(link("one", "two"), "link");
		must(unlink("one"), "unlink");
	}
}

static void sized(const char *k)
{
	if (!strcmp(k, "many")) {
		for (int i = 0; i < 20000; i++)
			map(PAGE, i & 1 ? PROT_READ | PROT_WRITE : PROT_READ, ANON, -1, 0);
	} else if (!strcmp(k, "large")) {
		size_t size = 1UL << 30;
		map(size, PROT_READ | PROT_WRITE, ANON, -1, 0);
		must(madvise(at, size, MADV_NOHUGEPAGE), "madvise");
		for (size_t i = 0; i < size; i += PAGE)
			at[i] = 1;
	}
}

static void memory(const char *k)
{
	if (!strcmp(k, "readonly")) map(PAGE, PROT_READ, ANON, -1, 0);
	else if (!strcmp(k, "none")) map(PAGE, PROT_NONE, ANON, -1, 0);
	else if (!strcmp(k, "zero")) map(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, open("/dev/zero", O_RDWR), 0);
	else if (!strcmp(k, "growsdown")) map(PAGE, PROT_READ | PROT_WRITE, ANON | MAP_GROWSDOWN, -1, 0);
	else if (!strcmp(k, "noreserve")) map(PAGE, PROT_READ | PROT_WRITE, ANON | MAP_NORESERVE, -1, 0);
	else if (!strcmp(k, "droppable")) map(PAGE, PROT_READ | PROT_WRITE, MAP_DROPPABLE_ | MAP_ANONYMOUS, -1, 0);
	else if (!strcmp(k, "locked")) must(mlock(anon(), PAGE), "mlock");
	else if (!strcmp(k, "onfault")) must(syscall(SYS_MLOCK2, anon(), PAGE, 1), "mlock2");
	else if (!strcmp(k, "dontfork")) advised(MADV_DONTFORK);
	else if (!strcmp(k, "dontdump")) advised(MADV_DONTDUMP);
	else if (!strcmp(k, "wipeonfork")) advised(MADV_WIPEONFORK);
	else if (!strcmp(k, "hugepage")) advised(MADV_HUGEPAGE);
	else if (!strcmp(k, "nohugepage")) advised(MADV_NOHUGEPAGE);
	else if (!strcmp(k, "random")) advised(MADV_RANDOM);
	else if (!strcmp(k, "sequential")) advised(MADV_SEQUENTIAL);
	else if (!strcmp(k, "guard")) advised(GUARD_INSTALL);
	else if (!strcmp(k, "anonshared")) {
		map(3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		must(munmap(at, PAGE), "munmap"); // offset 0 is not mapped any more
		at += PAGE;
	} else if (!strcmp(k, "zeroshared")) map(PAGE, PROT_READ, MAP_SHARED, open("/dev/zero", O_RDWR), 0);
}

static void userfault(void)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register reg = {.mode = UFFDIO_REGISTER_MODE_MISSING};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	must(fd, "userfaultfd");
	must(ioctl(fd, UFFDIO_API, &api), "UFFDIO_API");
	reg.range.start = (unsigned long)anon();
	reg.range.len = PAGE;
	must(ioctl(fd, UFFDIO_REGISTER, &reg), "UFFDIO_REGISTER");
}

static void uring(void)
{
	unsigned params[30] = {0}; // struct io_uring_params
	int fd = syscall(SYS_IO_URING_SETUP, 4, params);
	must(fd, "io_uring_setup");
	map(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

static void packets(void)
{
	struct tpacket_req req = {.tp_block_size = PAGE, .tp_block_nr = 1, .tp_frame_size = PAGE, .tp_frame_nr = 1};
	int fd = socket(AF_PACKET, SOCK_RAW, 0);
	must(fd, "socket");
	must(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)), "PACKET_RX_RING");
	map(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

static void perf(void)
{
	struct perf_event_attr a = {.type = PERF_TYPE_SOFTWARE, .size = sizeof(a), .config = PERF_COUNT_SW_DUMMY};
	int fd = syscall(SYS_perf_event_open, &a, 0, -1, -1, 0);
	must(fd, "perf_event_open");
	map(2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

static void refused(const char *k)
{
	if (!strcmp(k, "memfd")) {
		int fd = memfd_create("mine", MFD_CLOEXEC);
		must(ftruncate(fd, PAGE), "ftruncate");
		map(PAGE, PROT_READ, MAP_SHARED, fd, 0);
	} else if (!strcmp(k, "sysv")) {
		int id = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0600);
		must(id, "shmget");
		at = shmat(id, NULL, 0);
		shmctl(id, IPC_RMID, NULL);
		must((long)at, "shmat");
	} else if (!strcmp(k, "secret")) {
		int fd = syscall(SYS_MEMFD_SECRET, 0);
		must(fd, "memfd_secret");
		must(ftruncate(fd, PAGE), "ftruncate");
		map(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	} else if (!strcmp(k, "hugetlb")) map(2 << 20, PROT_READ, ANON | MAP_HUGETLB | MAP_NORESERVE, -1, 0);
	else if (!strcmp(k, "sealed")) must(syscall(SYS_MSEAL, anon(), PAGE, 0), "mseal");
	else if (!strcmp(k, "aio")) must(syscall(SYS_io_setup, 8, &at), "io_setup");
	else if (!strcmp(k, "uffd")) userfault();
	else if (!strcmp(k, "uring")) uring();
	else if (!strcmp(k, "packets")) packets();
	else if (!strcmp(k, "perf")) perf();
	else if (!strcmp(k, "sysfs")) map(PAGE, PROT_READ, MAP_PRIVATE, open("/sys/kernel/btf/vmlinux", O_RDONLY), 0);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		kind = argv[i];
		files(kind);
		sized(kind);
		memory(kind);
		refused(kind);
		if (!at) {
			fprintf(stderr, "kinds: no kind %s\n", kind);
			return 1;
		}
		printf("%s %lx\n", kind, (unsigned long)at);
		at = NULL;
	}
	puts("ready");
	fflush(stdout);
	pause();
}
