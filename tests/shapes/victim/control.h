/* What the harness and all tasks share: a file mapped at one address. The
   harness reads and writes the same layout, see control_unsafe.go. */
enum {
	slots = 48,
	handles = 64, /* POSIX timers of a process that operations can name */
	text_size = 24 << 10,
	stack_size = 24 << 10,
	arena_pages = 512,
	first_fd = 10,
	last_fd = 42,
};

#define CONTROL 0x300000000UL
#define ARENA 0x200000000UL
#define HUGE_ARENA 0x240000000UL

struct op {
	u32 code, pad;
	i64 arg[6];
	i64 result;
};

/* A slot is a task: it carries out op when turn is no longer done. */
struct slot {
	u32 turn, done;
	u32 up;    /* it is there, and waits for its turn */
	u32 tid, tgid;
	u32 blocked; /* it waits in a system call of its own, and has no more turns */
	u32 leader;  /* the slot of its process's first task */
	u32 length;  /* of text */
	struct op op;
	u32 handled[65];
	u32 timers;  /* bit n: handle n is a timer */
	i64 timer[handles];
	char text[text_size];
};

struct control {
	u32 bell; /* counts what the harness waits for */
	u32 pad;
	char dir[120];
	struct slot slot[slots];
};

#define control ((struct control *)CONTROL)

static long futex(u32 *word, int op, u32 value) { return SYS_4(__NR_futex, word, op, value, 0); }

static void ring(void)
{
	__atomic_add_fetch(&control->bell, 1, __ATOMIC_SEQ_CST);
	futex(&control->bell, FUTEX_WAKE, 1);
}

/* A path in the folder of this run. */
static const char *path(char *buffer, const char *prefix, long n)
{
	char *p = buffer;
	for (const char *s = control->dir; *s;)
		*p++ = *s++;
	*p++ = '/';
	while (*prefix)
		*p++ = *prefix++;
	if (n >= 10)
		*p++ = '0' + n / 10 % 10;
	if (n >= 0)
		*p++ = '0' + n % 10;
	*p = 0;
	return buffer;
}
