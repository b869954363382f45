package vdso

import (
	"fmt"

	"floe/lib/record"
)

// Record makes the record of one address space's vDSO; code is its code area's
// bytes, nil when it has none.
func Record(mmID uint64, areas []Area, code []byte) (*record.Vdso, error) {
	v := &record.Vdso{MmId: mmID}
	for _, a := range areas {
		v.Areas = append(v.Areas, &record.Vdso_Area{Name: a.Name, Start: a.Start, End: a.End, Code: a.Code})
	}
	if code == nil {
		if len(areas) > 0 {
			return nil, fmt.Errorf("it has %s but no [vdso]; such a process can't be saved yet", areas[0].Name)
		}
		return v, nil
	}
	im, err := Parse(code)
	if err != nil {
		return nil, err
	}
	v.BuildId, v.LinuxVersion, v.Image = im.BuildID, im.LinuxVersion, im.Pristine(code)
	for _, s := range im.Symbols {
		v.Symbols = append(v.Symbols, &record.Vdso_Symbol{Name: s.Name, Version: s.Version, Offset: s.Offset, Size: s.Size, Weak: s.Weak, Type: uint32(s.Type)})
	}
	return v, nil
}
