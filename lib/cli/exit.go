// Package cli has what every program of floe does alike: flags, help, exit
// statuses, messages and progress.
package cli

import (
	"errors"
	"fmt"
)

// Exit statuses.
const (
	StatusDone     = 0
	StatusFailed   = 1 // the work failed or was refused
	StatusUsage    = 2
	StatusBadInput = 3 // the input is no stream, or a damaged one
)

// ExitError ends a program with a status. Without Err nothing is printed.
type ExitError struct {
	Code int
	Err  error
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit status %d", e.Code)
	}
	return e.Err.Error()
}

func (e *ExitError) Unwrap() error { return e.Err }

// BadInput marks an error as the input's fault.
func BadInput(err error) error { return &ExitError{StatusBadInput, err} }

// Usage is a usage error.
func Usage(err error) error { return &ExitError{StatusUsage, err} }

// Status is the exit status for an error.
func Status(err error) int {
	var e *ExitError
	switch {
	case err == nil:
		return StatusDone
	case errors.As(err, &e):
		return e.Code
	}
	return StatusFailed
}
