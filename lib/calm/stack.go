package calm

// GrowStack makes the stack of a goroutine that has much to do as large at once
// as it will get: one that grows by doubling is copied at each step, and the
// runtime sets memory aside for stacks of each size.
func GrowStack() { grow(0) }

// grow needs a stack with room for its frame, and does nothing in it.
//
//go:noinline
func grow(n int) byte {
	if n == 0 {
		return 0
	}
	var frame [20 << 10]byte
	for i := range frame {
		frame[i] = byte(n + i)
	}
	return frame[n%len(frame)]
}
