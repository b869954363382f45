package attr

import (
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/record"
	"floe/lib/stub"
)

// Of <linux/prctl.h>.
const (
	prGetSpeculation = 52
	prSetSpeculation = 53
	specL1D          = 2
	specKinds        = 3
	specPrctl        = 1 << 0 // the task itself decides
	specEnable       = 1 << 1
	specForced       = 1 << 3
	specBits         = 1<<5 - 1
)

var specNames = [specKinds]string{"store bypass", "indirect branches", "L1D flush"}

// speculation is what a thread forbids the processor to do for it. What it has
// forbidden for good it can't allow again.
var speculation = Attr{
	Name: "speculation",
	Thread: Part[record.Thread]{
		Ask: func(*Live, *record.Thread) (calls []stub.Call) {
			for kind := range uint64(specKinds) {
				calls = append(calls, prctl("PR_GET_SPECULATION_CTRL", prGetSpeculation, kind))
			}
			return calls
		},
		// Where the tasks decide nothing they are alike.
		Alike: func(l *Live, first *record.Thread) (calls []stub.Call) {
			for kind, v := range first.Attrs.Speculation {
				if v&specPrctl != 0 {
					calls = append(calls, prctl("PR_GET_SPECULATION_CTRL", prGetSpeculation, uint64(kind)))
				}
			}
			return calls
		},
		Answer: func(a *Answers, t *record.Thread) error {
			for kind := range specKinds {
				v, _, err := a.Value(kind, unix.EINVAL, unix.ENODEV)
				if err != nil {
					return err
				}
				t.Attrs.Speculation = append(t.Attrs.Speculation, uint32(v))
			}
			return nil
		},
		Check: func(t *record.Thread) error {
			if n := len(t.Attrs.Speculation); n > specKinds {
				return fmt.Errorf("%d kinds; this version knows %d", n, specKinds)
			}
			for _, v := range t.Attrs.Speculation {
				if v&^specBits != 0 {
					return fmt.Errorf("PR_GET_SPECULATION_CTRL %#x is not known to this version", v)
				}
			}
			return nil
		},
		Cannot: func(h *Here, t *record.Thread) error {
			for kind, v := range t.Attrs.Speculation {
				if have := h.Thread.Attrs.Speculation[kind]; v&specPrctl != 0 && have&specPrctl == 0 && protects(kind, v) && !protects(kind, have) && have != 0 {
					return fmt.Errorf("thread %d: %s: it has protected itself, which this kernel or processor does not let it (%#x)", t.Tid, specNames[kind], have)
				}
			}
			return nil
		},
		Set: func(h *Here, t *record.Thread) (calls []stub.Call) {
			for kind, v := range t.Attrs.Speculation {
				if have := h.Thread.Attrs.Speculation[kind]; v&specPrctl != 0 && have&specPrctl != 0 && v != have {
					calls = append(calls, prctl("PR_SET_SPECULATION_CTRL", prSetSpeculation, uint64(kind), uint64(v&^specPrctl)))
				}
			}
			return calls
		},
	},
	Fixed: func(h *Here) string {
		for kind, have := range h.Thread.Attrs.Speculation {
			const forced = specPrctl | specForced
			same := func(th *record.Thread) bool {
				s := th.GetAttrs().GetSpeculation()
				return kind < len(s) && s[kind] == have
			}
			if have&forced == forced && !h.every(same) {
				return "with speculation (" + specNames[kind] + ") forbidden for good"
			}
		}
		return ""
	},
}

// protects tells whether a value keeps the task from harm. To flush the L1D cache
// does; to let stores and branches be speculated about doesn't.
func protects(kind int, v uint32) bool {
	return (v&specEnable != 0) == (kind == specL1D)
}
