// Package dump has the stages of a checkpoint, from freeze to pagedump, as the
// programs of these names and checkpoint run them. Each reads the stream of the
// one before from a pipe and writes it on with its own records added; together
// they hold a lease (package lease), whoever starts them.
package dump
