package dump

import (
	"fmt"

	"floe/lib/lease"
	"floe/lib/tracer"
)

// good tells whether the image is as --then asks for.
func (f *frozen) good(o lease.Outcome) bool {
	return o.Failure == "" && o.Complete && (o.OnDisk || f.command != nil)
}

// letGo does with the tree what --then says, if all went well.
func (f *frozen) letGo(o lease.Outcome) error {
	then := f.Then
	if !f.good(o) {
		then = "thaw"
	}
	err := f.tracer.Do(func(p *tracer.Ptrace) error {
		switch then {
		case "kill":
			return f.tree.Kill(p)
		case "stop":
			return f.tree.Stop(p)
		}
		return f.tree.Thaw(p)
	})
	if err != nil {
		return err
	}
	return f.report(o)
}

// report is the error for the end of a lease.
func (f *frozen) report(o lease.Outcome) error {
	good := f.good(o)
	switch {
	case o.Failure != "":
		return fmt.Errorf("%s; task %d runs on", o.Failure, f.PID)
	case good || f.Then == "thaw":
		return nil
	case o.Complete:
		return fmt.Errorf("the image is complete but went to a pipe, and only its receiver knows whether it arrived (use freeze --then %s %d -- COMMAND); task %d runs on", f.Then, f.PID, f.PID)
	}
	return fmt.Errorf("no complete image was written; task %d runs on", f.PID)
}
