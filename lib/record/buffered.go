package record

// Buffered is how many bytes can be read without waiting for more input.
func (r *Reader) Buffered() int { return r.r.Buffered() }
