// Package descriptors compares all that the kernel shows of descriptors, before a
// checkpoint and after the restore.
package descriptors

import (
	"testing"

	"floe/tests/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
