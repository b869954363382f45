// Package vdso restores processes through proxies of their vDSO, and on clocks
// of another boot, on the kernel that the tests run on. Package kernels does so
// on others.
package vdso

import (
	"testing"

	"floe/tests/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
