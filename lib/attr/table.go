package attr

// table lists the attributes: a new one is a file, and its line here. What is set
// in one moment is set in this order.
var table = []*Attr{
	&noNewPrivs,
	&seccomp,
	&securebits,
	&personality,
	&landlock,
	&cgroup,
	&login,
	&coredumpFilter,
	&hugePages,
	&memoryMerge,
	&memoryPolicy,
	&membarrier,
	&futexHash,
	&machineCheck,
	&ioPriority,
	&ioFlusher,
	&autogroup,
	&timerSlack,
	&timerIDs,
	&speculation,
	&keyrings,
	&executable, // it forbids much of what is done before
}
