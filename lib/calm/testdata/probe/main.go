// probe says how it was started.
package main

import (
	"encoding/json"
	"os"
	"runtime"

	"floe/lib/calm"
)

func main() {
	procs := runtime.GOMAXPROCS(0)
	calm.Widen()
	err := json.NewEncoder(os.Stdout).Encode(map[string]any{
		"args": os.Args[1:], "env": os.Environ(), "passed": calm.Environ(),
		"page": os.Getpagesize(), "procs": procs, "wide": runtime.GOMAXPROCS(0),
	})
	if err != nil {
		panic(err)
	}
}
