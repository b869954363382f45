// Package verdict tests what floe promises of an image: who has one that was
// called complete can restore it, and who asks beforehand gets every reason why
// not.
package verdict

import (
	"testing"

	"floe/tests/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
