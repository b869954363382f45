module floe

go 1.26.0

require (
	github.com/alecthomas/kong v1.17.0
	github.com/pierrec/lz4/v4 v4.1.33
	golang.org/x/sys v0.49.0
	google.golang.org/protobuf v1.36.12
)
