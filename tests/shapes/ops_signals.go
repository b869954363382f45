package shapes

import "golang.org/x/sys/unix"

var handlers = words("default", 0, "ignore", 1, "handler", 2)
var actionFlags = words("nocldstop", 1, "nocldwait", 2, "siginfo", 4, "onstack", 0x08000000, "restart", 0x10000000,
	"nodefer", 0x40000000, "resethand", 0x80000000, "expose-tagbits", 0x800)
var maskHow = words("block", 0, "unblock", 1, "set", 2)
var altFlags = words("autodisarm", 1<<31, "disable", 2)
var itimers = words("real", 0, "virtual", 1, "prof", 2)
var timerClocks = words("realtime", unix.CLOCK_REALTIME, "monotonic", unix.CLOCK_MONOTONIC, "process", unix.CLOCK_PROCESS_CPUTIME_ID,
	"thread", unix.CLOCK_THREAD_CPUTIME_ID, "boottime", unix.CLOCK_BOOTTIME, "realtime-alarm", unix.CLOCK_REALTIME_ALARM,
	"boottime-alarm", unix.CLOCK_BOOTTIME_ALARM, "tai", unix.CLOCK_TAI)
var timerNotify = words("signal", 0, "none", 1, "thread-signal", 4)

// Times are so far away that no timer expires while a test runs.
var signalOps = []op{
	{name: "action", group: "signals", weight: 16, adjust: adjustAction,
		args: []arg{sig("signal"), choice("to", handlers), flags("flags", actionFlags), number("mask", 0, 1<<62)}},
	{name: "mask", group: "signals", weight: 14, args: []arg{choice("how", maskHow), number("set", 0, 1<<62)}, adjust: adjustMask},
	{name: "altstack", group: "signals", weight: 3, args: []arg{page(), number("pages", 1, 20), flags("flags", altFlags)}},
	{name: "itimer", group: "timers", weight: 5,
		args: []arg{choice("which", itimers), number("seconds", 100000, 1000000), number("interval", 0, 100000), number("microseconds", 0, 999999)}},
	{name: "timer", group: "timers", weight: 12, adjust: adjustTimer,
		args: []arg{number("handle", 0, 31), choice("clock", timerClocks), choice("notify", timerNotify), sig("signal"), number("value", 0, 1<<40), number("churn", 0, 20000)}},
	{name: "timer_set", group: "timers", weight: 10,
		args: []arg{number("handle", 0, 31), number("seconds", 100000, 1000000), number("interval", 0, 100000), number("ns", 0, 999999999), number("flags", 0, 0)}},
	{name: "timer_delete", group: "timers", weight: 2, args: []arg{number("handle", 0, 31)}},
}
