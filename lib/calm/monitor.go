package calm

import "syscall"

// slack is how late the monitor may wake up, ns.
const slack = "10000000"

// calmMonitor lets the kernel put the monitor's wake-ups off, so that they come
// along with other interrupts; the monitor itself sleeps as long when there is
// nothing to do. Without CAP_SYS_NICE this fails, and everything works as well.
func calmMonitor() {
	tid := monitor()
	if tid == "" {
		return
	}
	fd, err := syscall.Open("/proc/"+tid+"/timerslack_ns", syscall.O_WRONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	_, _ = syscall.Write(fd, []byte(slack))
	syscall.Close(fd)
}

// monitor is the id of the thread that the runtime's monitor is: the first that
// the first thread makes. Empty: can't be found.
func monitor() string {
	dir, err := syscall.Open("/proc/self/task", syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer syscall.Close(dir)
	var buf [512]byte
	n, err := syscall.ReadDirent(dir, buf[:])
	if err != nil {
		return ""
	}
	_, _, names := syscall.ParseDirent(buf[:n], 2, make([]string, 0, 2)) // in the order that they were made
	if len(names) < 2 {
		return ""
	}
	return names[1]
}
