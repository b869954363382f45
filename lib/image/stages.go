package image

import (
	"fmt"
)

// pipeline is the stages that an image needs.
var pipeline = []string{"freeze", "vmadump", "vdsoprobe", "fddump", "pagedump"}

// Validate checks a whole image: each stage was there once, the end too, and
// every reference leads somewhere. The error names what is wrong first.
func (im *Image) Validate() error {
	if err := im.ValidateForPages(); err != nil {
		return err
	}
	if !im.ran("pagedump") {
		return missing("pagedump")
	}
	if !im.Ended {
		return fmt.Errorf("the stream has no end record")
	}
	return nil
}

// ValidateForPages checks what must be there before the contents of pages: all
// stages but the one that writes them, and all that they refer to.
func (im *Image) ValidateForPages() error {
	if im.Header == nil {
		return fmt.Errorf("the stream has no header")
	}
	seen := map[string]bool{}
	for _, s := range im.Stages {
		if seen[s.Stage] {
			return fmt.Errorf("stage %s was in the pipeline twice", s.Stage)
		}
		seen[s.Stage] = true
	}
	for _, name := range pipeline[:len(pipeline)-1] {
		if !seen[name] {
			return missing(name)
		}
	}
	return im.References()
}

// Missing is the stages that have not been there, in order.
func (im *Image) Missing() []string {
	var list []string
	for _, name := range pipeline {
		if !im.ran(name) {
			list = append(list, name)
		}
	}
	return list
}

func missing(stage string) error {
	return fmt.Errorf("stage %s is missing from the pipeline", stage)
}

func (im *Image) ran(stage string) bool {
	for _, s := range im.Stages {
		if s.Stage == stage {
			return true
		}
	}
	return false
}

// References checks that what records say of each other is right, as far as the
// stages that were there go: it also serves for a stream that isn't whole.
func (im *Image) References() error {
	if im.checked == im.size.records {
		return nil
	}
	for _, c := range []struct {
		stage string
		check func() error
	}{
		{"freeze", im.checkHeader}, {"freeze", im.checkTasks}, {"freeze", im.checkThreads},
		{"vmadump", im.checkFiles}, {"vmadump", im.checkSpaces},
		{"vdsoprobe", im.checkVdsos},
		{"fddump", im.checkDirectories}, {"fddump", im.checkOpenFiles}, {"fddump", im.checkPipes},
		{"fddump", im.checkDescriptors}, {"fddump", im.checkLocks},
	} {
		if !im.ran(c.stage) {
			continue
		}
		if err := c.check(); err != nil {
			return err
		}
	}
	im.checked = im.size.records
	return nil
}
