# make help lists what can be made.
MAKEFLAGS += --no-print-directory
export CGO_ENABLED ?= 0

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
BIN      := bin/pathsnap
BUILD    := go build -ldflags "-s -w -X main.version=$(VERSION)"
PORTABLE := ./analyze/... ./snapshot/... ./plugins/... ./providers/...
PACKAGES := ./...

DEMO     ?= fixtures/bundles/flannel-vxlan
SRC      ?= pod:demo/a
DST      ?= svc:demo/c:80
FUZZTIME ?= 10s
BENCH    ?= .
LAB      ?= help
LINTER   := bin/golangci-lint
LINT_VERSION := v2.5.0

KERNEL_CASES ?= 20000
KERNEL_SEED  ?= 0

.PHONY: help demo build test unit vet race cover fuzz kernel bench golden generate stale lint lab check clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: build ## ask one question of a recorded cluster: prints the verdict, writes path.svg
	@$(BIN) analyze $(DEMO) --src $(SRC) --dst $(DST); code=$$?; \
	 $(BIN) analyze $(DEMO) --src $(SRC) --dst $(DST) --format svg -o path.svg; \
	 echo; echo "picture: path.svg"; case $$code in 0|3|4) ;; *) exit $$code;; esac

build: ## build bin/pathsnap, one static binary
	@mkdir -p bin
	$(BUILD) -o $(BIN) ./cmd/pathsnap

test: vet unit ## run every test, and vet for linux, darwin and windows

unit: ## run every test
	go test $(PACKAGES)

vet: ## run go vet, for darwin and windows too where the code is portable
	go vet $(PACKAGES)
	GOOS=darwin go vet $(PORTABLE)
	GOOS=windows go vet $(PORTABLE)

race: ## run every test under the race detector
	CGO_ENABLED=1 go test -race $(PACKAGES)

cover: ## say how much of each package its tests cover
	go test -coverpkg=./... -coverprofile=cover.out $(PACKAGES)
	@go tool cover -func=cover.out | tail -1

fuzz: ## run each fuzz target for FUZZTIME (10s)
	@grep -rl --include=*_test.go '^func Fuzz' . | grep -v '^./fixtures/lab/' | sort | while read -r file; do \
	  sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$file" | while read -r target; do \
	    echo "$$(dirname "$$file") $$target"; \
	    go test "$$(dirname "$$file")" -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) || exit 1; \
	  done || exit 1; \
	done

kernel: ## as root: give the same packets to the kernel and to the simulation (KERNEL_CASES random ones, KERNEL_SEED)
	go test ./fixtures/kernel -v -timeout 30m -cases $(KERNEL_CASES) -seed $(KERNEL_SEED)

bench: ## run the benchmarks (BENCH=name to choose)
	go test -run '^$$' -bench '$(BENCH)' -benchmem $(PACKAGES)

golden: ## write the golden files of the reports and the command line anew
	go test ./analyze/report ./cmd/pathsnap -update

generate: ## write the generated documents anew
	go test ./fixtures -run '^TestGenerated$$' -update

lint: $(LINTER) ## run golangci-lint
	$(LINTER) run $(PACKAGES)

$(LINTER):
	GOBIN=$(CURDIR)/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

lab: ## drive the lab, as root (LAB="up --backend vxlan", LAB=help)
	cd fixtures/lab && go run . $(LAB)

check: ## what CI runs: format, build, vet, tests, tests under the race detector
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$unformatted" ] || { echo "not gofmt-ed:"; echo "$$unformatted"; exit 1; }
	$(MAKE) build
	$(MAKE) test
	$(MAKE) race
	@if [ -x $(LINTER) ]; then $(MAKE) lint; else echo "not linted: make lint installs the linter"; fi

clean: ## remove what was built
	rm -rf bin path.svg cover.out
