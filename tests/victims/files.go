// Package victims holds the sources of the programs that the tests checkpoint.
package victims

import "embed"

// Files are the sources.
//
//go:embed *.sh *.py *.pl *.js *.sql c/*.c
var Files embed.FS
