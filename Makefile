# floe: build, test, try. `make help` lists the targets.
SHELL := /bin/bash
GO ?= go
PROGRAMS := $(notdir $(wildcard cmds/*))
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
# The entry point is lib/calm's.
ENTRY := $(if $(filter amd64,$(shell $(GO) env GOARCH)),-E floe_start)
LDFLAGS := -s -w $(ENTRY) -X floe/lib/cli.Version=$(VERSION)
TOOLS := $(CURDIR)/bin/.tools


export CGO_ENABLED = 0

.PHONY: all help demo test test-kernels test-faults test-shapes check gen man bench deps clean

all: ## build the programs, static, into bin/
	@mkdir -p bin/.build
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/.build/ ./cmds/...
	@# Copied: what the linker writes through a mapping stands in the page cache
	@# page by page, and starts slower than a file that came with write(2).
	@install -m 755 $(PROGRAMS:%=bin/.build/%) bin/

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: all ## checkpoint, kill and restore a counter in front of you
	@scripts/demo

test: deps all ## all tests; as root
	@scripts/test

test-kernels: deps all ## the part of the tests that moves processes between five kernels, in qemu
	@tests/kernels/fetch >/dev/null
	$(GO) test -count=1 -timeout 15m -v ./tests/kernels

test-faults: deps all ## every system call of every program fails once, and each is killed at each
	@set -o pipefail; $(GO) test -count=1 -timeout 5h -v ./tests/faults -all | grep -vE '^=== |--- PASS: .*/.*/'

test-shapes: deps all ## N random processes (N=1000), from SEED on or fresh ones, and what came of each
	$(GO) test -count=1 -timeout 0 -v ./tests/shapes -run 'TestShapes$$' -args -n $(or $(N),1000) -seed $(or $(SEED),0)

check: deps ## format, vet, staticcheck, generated code is current
	@scripts/check

gen: ## generate the protobuf code again (needs protoc)
	GOBIN=$(TOOLS) $(GO) install google.golang.org/protobuf/cmd/protoc-gen-go ./scripts/protoc-gen-record
	PATH=$(TOOLS):$$PATH scripts/gen .

man: all ## manual pages into bin/man/
	@mkdir -p bin/man
	@for p in $(PROGRAMS); do bin/$$p --man > bin/man/$$p.1; done

bench: all ## speed, side by side
	@$(GO) run ./tests/bench

deps: ## the Debian packages that the tests use
	@scripts/deps

clean: ## remove what was built
	rm -rf bin
