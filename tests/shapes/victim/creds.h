/* Who a task is, and what it may. */
static long op_uids(struct slot *s, const i64 *a) { return SYS_3(__NR_setresuid, a[0], a[1], a[2]); }
static long op_gids(struct slot *s, const i64 *a) { return SYS_3(__NR_setresgid, a[0], a[1], a[2]); }
static long op_fsuid(struct slot *s, const i64 *a) { return SYS_1(__NR_setfsuid, a[0]); }
static long op_fsgid(struct slot *s, const i64 *a) { return SYS_1(__NR_setfsgid, a[0]); }

static long op_groups(struct slot *s, const i64 *a)
{
	u32 group[64];
	for (int i = 0; i < a[0]; i++)
		group[i] = a[1] + i * a[2];
	return SYS_2(__NR_setgroups, a[0], group);
}

static long op_caps(struct slot *s, const i64 *a)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2], old[2];
	long r = SYS_2(__NR_capget, &h, old);
	if (r)
		return r;
	for (int i = 0; i < 2; i++) {
		d[i].permitted = old[i].permitted & a[0] >> 32 * i;
		d[i].effective = d[i].permitted & a[1] >> 32 * i;
		d[i].inheritable = (old[i].permitted | old[i].inheritable) & a[2] >> 32 * i;
	}
	return SYS_2(__NR_capset, &h, d);
}

static long op_ambient(struct slot *s, const i64 *a) { return prctl2(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, a[0]); }
static long op_bound(struct slot *s, const i64 *a) { return prctl1(PR_CAPBSET_DROP, a[0]); }
static long op_securebits(struct slot *s, const i64 *a) { return prctl1(PR_SET_SECUREBITS, a[0]); }
static long op_keepcaps(struct slot *s, const i64 *a) { return prctl1(PR_SET_KEEPCAPS, a[0]); }
static long op_no_new_privs(struct slot *s, const i64 *a) { return prctl1(PR_SET_NO_NEW_PRIVS, 1); }
static long op_dumpable(struct slot *s, const i64 *a) { return prctl1(PR_SET_DUMPABLE, a[0]); }
static long op_umask(struct slot *s, const i64 *a) { return SYS_1(__NR_umask, a[0]); }

static long op_chdir(struct slot *s, const i64 *a)
{
	char buffer[160];
	return SYS_1(__NR_chdir, path(buffer, "d", a[0]));
}

static long op_chroot(struct slot *s, const i64 *a)
{
	char buffer[160];
	return SYS_1(__NR_chroot, path(buffer, "d", a[0]));
}
