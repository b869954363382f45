package main

import (
	"context"
	"os"

	"floe/lib/cli"
	"floe/lib/fds"
	"floe/lib/stage"
)

func run(ctx context.Context, in, out *os.File, log *cli.Logger, file string) error {
	return stage.Run(ctx, stage.Options{Name: "fddump", Needs: []string{"freeze"}, File: file, Log: log}, in, out, fds.Collect)
}
