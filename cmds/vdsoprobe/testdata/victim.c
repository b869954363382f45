// A program that works on its own vDSO, says "ready" and waits until its input
// ends. It calls nothing that would call the vDSO.
//
//	victim native | moved | torn | changed | none
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct area {
	uintptr_t start, end;
} areas[16];
static int count;

static void fail(const char *what)
{
	write(2, what, strlen(what));
	_exit(1);
}

static void find(void)
{
	static char text[1 << 16];
	size_t size = 0;
	ssize_t n;
	int fd = open("/proc/self/maps", O_RDONLY);

	while ((n = read(fd, text + size, sizeof text - 1 - size)) > 0)
		size += n;
	close(fd);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		char *rest;

		if (!strstr(line, "[vvar") && !strstr(line, "[vdso"))
			continue;
		areas[count].start = strtoul(line, &rest, 16);
		areas[count++].end = strtoul(rest + 1, NULL, 16);
	}
	if (count == 0)
		fail("no vDSO\n");
}

static void move(void)
{
	uintptr_t first = areas[0].start, room = areas[count - 1].end - first;
	char *to = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (int i = 0; i < count; i++) {
		size_t size = areas[i].end - areas[i].start;

		if (mremap((void *)areas[i].start, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to + areas[i].start - first) == MAP_FAILED)
			fail("mremap\n");
	}
}

static void tear(int n)
{
	for (int i = 0; i < n; i++)
		if (munmap((void *)areas[i].start, areas[i].end - areas[i].start))
			fail("munmap\n");
}

static void change(void)
{
	struct area *code = &areas[count - 1];
	size_t size = code->end - code->start;

	if (mprotect((void *)code->start, size, PROT_READ | PROT_WRITE | PROT_EXEC))
		fail("mprotect\n");
	*(volatile unsigned char *)(code->start + 0xff0) ^= 0xff;
	if (mprotect((void *)code->start, size, PROT_READ | PROT_EXEC))
		fail("mprotect\n");
}

int main(int argc, char **argv)
{
	char c;

	find();
	if (argc != 2)
		fail("how?\n");
	else if (!strcmp(argv[1], "moved"))
		move();
	else if (!strcmp(argv[1], "torn"))
		tear(count - 1);
	else if (!strcmp(argv[1], "none"))
		tear(count);
	else if (!strcmp(argv[1], "changed"))
		change();
	else if (strcmp(argv[1], "native"))
		fail("how?\n");
	if (write(1, "ready\n", 6) != 6)
		return 1;
	while (read(0, &c, 1) > 0)
		;
	return 0;
}
