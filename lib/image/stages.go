package image

import (
	"fmt"
)

// pipeline is the stages that an image needs.
var pipeline = []string{"freeze", "vmadump", "vdsoprobe", "fddump", "pagedump"}

// Validate checks a whole image: each stage was there once.
func (im *Image) Validate() error { return im.needStages(pipeline) }

// ValidateForPages checks what must be there before the contents of pages: all
// stages but the one that writes them.
func (im *Image) ValidateForPages() error { return im.needStages(pipeline[:len(pipeline)-1]) }

func (im *Image) needStages(names []string) error {
	if im.Header == nil {
		return fmt.Errorf("the stream has no header")
	}
	seen := map[string]int{}
	for _, s := range im.Stages {
		if seen[s.Stage]++; seen[s.Stage] > 1 {
			return fmt.Errorf("stage %s was in the pipeline twice", s.Stage)
		}
	}
	for _, name := range names {
		if seen[name] == 0 {
			return fmt.Errorf("stage %s is missing from the pipeline", name)
		}
	}
	return nil
}
