package restorer

import (
	"context"
	"errors"
	"fmt"

	"floe/lib/attr"
	"floe/lib/clocks"
	"floe/lib/image"
	"floe/lib/inject"
	"floe/lib/pages"
	"floe/lib/plan"
	"floe/lib/record"
	"floe/lib/stub"
	"floe/lib/tracer"
)

// Options of a restore.
type Options struct {
	ForceFiles bool // open files that have changed since
	VDSO       VDSOMode
	HostClocks bool // the tree gets this boot's clocks as they are
	// StdinIsImage: the image comes on descriptor 0, so a tree that reads its
	// caller's terminal gets /dev/tty.
	StdinIsImage bool
	Detach       bool     // this process ends once the tree runs
	Inherit      []string // attributes that the tree may have from this process: see lib/attr
	Cgroups      attr.CgroupMode
	// Commit, if set, calls point, the point of no return, or refuses to.
	Commit   func(point func()) error
	Warnf    func(format string, args ...any)
	Verbosef func(format string, args ...any)
}

// LoadPages fills the puppets' memory; opt says where the contents go. It
// returns when every page is in and the whole image has been verified, with the
// guard regions that the tasks must install themselves.
type LoadPages func(ctx context.Context, opt pages.LoadOptions) (*pages.Guards, error)

// Restorer holds one tree in the making.
type Restorer struct {
	im        *image.Image
	opt       Options
	examine   bool // nothing will be made
	own       self
	here      *attr.Here
	before    map[int32][]stub.Call // what the maker of a thread does first, by tid
	shares    *plan.Sharing
	steps     []plan.Step
	mapped    *mapped
	held      *held
	arena     *inject.Arena
	tracer    *tracer.Tracer
	seed      *inject.Seed
	mms       map[uint64]*plan.AddressSpace
	guards    *pages.Guards
	root      *Root
	disown    func() // undoes adopt
	focus     focus
	helpers   map[int32]tracer.TID // those without an id of the image, by their number in the plan
	spare     int32                // the id that a helper got last
	needed    map[int32]bool       // ids that no helper may have; nil: not yet known
	made      bool                 // all processes are there
	committed bool                 // the point of no return is passed
	clocks    clocks.Offsets       // that the tree gets
	kernel    kernelVDSO
	vdsos     map[uint64]*imageVDSO // by mm_id
	cpu       *record.Cpu
	finals    map[int32]*inject.Final // by tid, without extended registers
	trapped   map[int32][]stub.Call   // by tid, what queues the SIGTRAPs of those that have one pending
}

// Restore makes the tree of im and lets it go. load is called when the memory
// is ready for contents. The tree's root is a child of this process. An error
// says that there is no tree, and nothing left of it: what goes wrong after the
// point of no return is a warning. The end of ctx counts up to there.
func Restore(ctx context.Context, im *image.Image, opt Options, load LoadPages) (*Root, error) {
	r := &Restorer{im: im, opt: opt, mms: map[uint64]*plan.AddressSpace{}, focus: focus{pidfd: -1}, finals: map[int32]*inject.Final{}, trapped: map[int32][]stub.Call{}, helpers: map[int32]tracer.TID{}}
	defer context.AfterFunc(ctx, r.focus.end)()
	err := r.restore(ctx, load)
	if !r.committed && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return r.root, err
}

func (r *Restorer) restore(ctx context.Context, load LoadPages) error {
	if err := r.check(ctx, func(err error) error { return err }); err != nil {
		return err
	}
	defer func() { r.mapped.close(); r.held.close() }()
	if err := r.openMapped(); err != nil {
		return err
	}
	var err error
	if r.disown, err = adopt(); err != nil {
		return err
	}
	defer func() { r.disown() }()
	r.tracer = tracer.New()
	defer r.endTracer()
	defer r.focus.off()
	if err = r.build(ctx, load); err == nil {
		err = r.tracer.Do(r.release)
	}
	if err != nil {
		r.undo()
	}
	return err
}

func (r *Restorer) build(ctx context.Context, load LoadPages) error {
	if err := r.carryOut(ctx, r.makeTree, r.mapMemory); err != nil {
		return err
	}
	var err error
	if r.guards, err = load(ctx, pages.LoadOptions{Target: r.target(), Shared: r.mapped.shmem, Memory: r.own.memory}); err != nil {
		return err
	}
	r.mapped.close()
	// A descriptor may refer to any task, dead or alive.
	if err := r.carryOut(ctx, r.makeZombies, r.cloneThreads); err != nil {
		return err
	}
	// The image has been verified: from here on its files are opened.
	if err := r.openHeld(); err != nil {
		return err
	}
	return r.carryOut(ctx, r.giveDirectories, r.giveDescriptors, r.takeLocks, r.finishMemory, r.prepareThreads, r.setOwners, r.finishProcesses, r.settleTraps)
}

// carryOut carries out steps, one after another, on the thread that traces.
func (r *Restorer) carryOut(ctx context.Context, steps ...func(*tracer.Ptrace) error) error {
	return r.tracer.Do(func(p *tracer.Ptrace) error {
		for _, step := range steps {
			if err := cmpErr(ctx, step(p)); err != nil {
				return err
			}
		}
		return nil
	})
}

// cmpErr is err, or the reason why ctx ended.
func cmpErr(ctx context.Context, err error) error {
	if err == nil {
		err = context.Cause(ctx)
	}
	return err
}

// taskErr names the task in an error.
func taskErr(t *record.Task, err error) error {
	if err == nil {
		return nil
	}
	var call *inject.CallError
	if errors.As(err, &call) {
		return err // names its task itself
	}
	return fmt.Errorf("task %d (%s): %w", t.Pid, t.Comm, err)
}
