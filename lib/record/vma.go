package record

// ObjectSize is the size of the shared object behind a mapping, bytes. A mapping
// may be longer (mremap(2)): what is past the object's end is no memory. In an
// image that doesn't say, the object is as large as what is mapped.
func (v *Vma) ObjectSize() uint64 {
	if v.ShmemSize != 0 {
		return v.ShmemSize
	}
	return v.Offset + v.End - v.Start
}
