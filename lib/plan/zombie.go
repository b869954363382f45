package plan

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// CheckZombie checks that a task that has ended can be made as it ended.
func CheckZombie(t *record.Task) error {
	if unix.WaitStatus(t.ExitCode).CoreDump() {
		return fmt.Errorf("a zombie that dumped core can't be restored yet; have its parent wait for it")
	}
	return nil
}
