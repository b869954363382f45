// Package taskiter reads what the kernel keeps of a task and shows nowhere in
// /proc: a BPF program of kind bpf_iter_task (Linux 5.8) copies fields of each
// task_struct to a file, and the kernel's own type information (BTF) says where
// they are. Nothing in a task changes, and nothing of it runs.
//
// It needs CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN, and a kernel with
// CONFIG_DEBUG_INFO_BTF that is not locked down.
package taskiter
