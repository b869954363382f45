// Package stage is what every program between freeze and the end of the
// pipeline has in common: it reads a stream, passes it on as it comes, adds its
// own records while the tree is frozen, and takes part in the lease.
//
//	header ──────────> join the lease (hello)
//	frames ──────────> passed on at once, and kept in an image.Image
//	end of freeze's ─> are the tasks the ones in the stream, and frozen?
//	mark             │ is the input whole, the stage in its place?
//	                 │ collect: the stage's own records
//	                 │ are they still?
//	                 └> end of stage, mark ──> verdict, and wait for the end
//
// A stage in the middle of a pipeline says Done and stays until its input ends,
// its output has no reader, or the lease is over. One that writes to anything
// but a pipe or a socket is the last, though it is not the one that ends the
// stream: it says Final. The one that ends the stream (pagedump) says Complete.
package stage
