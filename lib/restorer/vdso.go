package restorer

import (
	"fmt"
	"os"

	"floe/lib/record"
	"floe/lib/vdso"
)

// checkVDSO tells whether this kernel's vDSO can stand where the image's was.
func checkVDSO(v *record.Vdso) error {
	if len(v.Areas) == 0 {
		return nil
	}
	verdict, err := vdso.CompareHere(v)
	if err != nil {
		return err
	}
	if verdict.Kind != vdso.InPlace {
		return fmt.Errorf("the image's vDSO is another kernel's (%s); restoring it here needs a proxy, which this version does not have: restore on the kernel that it comes from, or see vdsoprobe --compare", verdict)
	}
	return nil
}

// verifyVDSO reads back where the kernel put a puppet's vDSO.
func verifyVDSO(pid int32, v *record.Vdso) error {
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return err
	}
	defer f.Close()
	areas, err := vdso.ReadAreas(f)
	if err != nil {
		return err
	}
	if len(areas) != len(v.Areas) {
		return fmt.Errorf("the kernel mapped %d vDSO areas, the image has %d", len(areas), len(v.Areas))
	}
	for i, a := range areas {
		if w := v.Areas[i]; a.Name != w.Name || a.Start != w.Start || a.End != w.End {
			return fmt.Errorf("the kernel mapped %s at %x-%x, the image has %s at %x-%x", a.Name, a.Start, a.End, w.Name, w.Start, w.End)
		}
	}
	return nil
}
