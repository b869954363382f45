package stub

// PageSize of amd64, bytes.
const PageSize = 4096

// Code is the contents of a code page and where its pieces start, bytes.
type Code struct {
	Bytes []byte
	Table uint64
	Gate  uint64
	Call  uint64
	Flags uint64
}

// codeAlign is where a piece may start: a cache line.
const codeAlign = 64

// NewCode lays out the code page.
func NewCode() Code {
	var c Code
	put := func(which int) uint64 {
		for len(c.Bytes)%codeAlign != 0 {
			c.Bytes = append(c.Bytes, trapByte)
		}
		at := uint64(len(c.Bytes))
		c.Bytes = append(c.Bytes, text(which)...)
		return at
	}
	c.Table, c.Gate, c.Call, c.Flags = put(textTable), put(textGate), put(textCall), put(textFlags)
	return c
}
