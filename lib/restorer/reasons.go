package restorer

import (
	"context"
	"fmt"
	"os"
	"runtime"

	"floe/lib/image"
	"floe/lib/kabi"
	"floe/lib/plan"
)

// reasons takes why an image can't be restored here, one after another. What it
// returns ends the search.
type reasons func(error) error

// all reports several.
func (report reasons) all(list []error) error {
	for _, err := range list {
		if err := report(err); err != nil {
			return err
		}
	}
	return nil
}

// Examine lists every reason why an image can't be restored on this machine and
// by this user. It makes nothing, and opens nothing but what /proc has of this
// process, and regular files to read their build-ids. guards tells that the pages
// have guard regions, of which the records say nothing.
func Examine(ctx context.Context, im *image.Image, opt Options, guards bool) ([]error, error) {
	r := &Restorer{im: im, opt: opt, examine: true}
	var list []error
	err := r.check(ctx, func(err error) error {
		list = append(list, err)
		return nil
	})
	if err == nil && guards && !kabi.Guards.Here() {
		list = append(list, errNoGuards)
	}
	return list, err
}

// check compares the image with this machine. Nothing has been made yet.
func (r *Restorer) check(ctx context.Context, report reasons) error {
	if h := r.im.Header; h.Arch != runtime.GOARCH {
		return report(fmt.Errorf("the image is of a %s machine, this is %s", h.Arch, runtime.GOARCH))
	} else if int(h.PageSize) != os.Getpagesize() {
		return report(fmt.Errorf("the image has pages of %d bytes, this kernel has %d", h.PageSize, os.Getpagesize()))
	}
	var err error
	if r.own, err = readSelf(); err != nil {
		return err
	}
	r.shares = plan.NewSharing(r.im.Tasks)
	if r.steps, err = plan.TreeFor(r.im.Tasks, r.own.caller); err != nil {
		return err
	}
	for _, check := range []func(reasons) error{
		r.checkAttributes, r.checkThreads, r.checkKernel, r.checkCapabilities, r.checkLimits, r.checkSpaces, r.checkPipes, r.checkClocks, r.checkVDSOs,
		func(report reasons) error { return r.checkIDs(ctx, report) }, r.checkFiles,
	} {
		if err := check(report); err != nil {
			return err
		}
	}
	return nil
}
