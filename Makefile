# Everything a contributor runs. Needs Go; `test` also Node 20 with npm and a C compiler (for -race).

GO       ?= go
NPM      ?= npm
FUZZTIME ?= 3s
LINT_VERSION = v2.15.0
LINT     = $(shell $(GO) env GOPATH)/bin/golangci-lint

.DEFAULT_GOAL := help
.PHONY: help run build test vet test-go fuzz test-e2e lint bench clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## Run the service; settings as environment variables, or ARGS="--public-addr :3000"
	bin/downlink $(ARGS)

build: ## Build bin/downlink
	$(GO) build -trimpath -o bin/downlink ./cmd/downlink

test: vet test-go fuzz test-e2e ## Run all tests; installs what they need

vet:
	$(GO) vet ./...

test-go: ## Go tests with the race detector
	$(GO) test -race ./...

fuzz: ## Every fuzz target for FUZZTIME each
	@set -e; grep -rn --include='*_test.go' --exclude-dir=node_modules '^func Fuzz' . | \
	sed 's|^\./\(.*\)/[^/]*_test\.go:[0-9]*:func \(Fuzz[A-Za-z0-9_]*\)(.*|\1 \2|' | sort -u | \
	while read -r package target; do \
		echo "fuzz $$target in $$package"; \
		$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "./$$package" || exit 1; \
	done

test-e2e: build internal/e2e/node_modules/.installed ## The built binary against the real Socket.IO clients
	DOWNLINK_BIN=$(CURDIR)/bin/downlink $(NPM) --prefix internal/e2e test

internal/e2e/node_modules/.installed: internal/e2e/package.json internal/e2e/package-lock.json
	$(NPM) --prefix internal/e2e ci
	@touch $@

lint: ## golangci-lint with .golangci.yml; installs it if missing
	@$(LINT) version 2>/dev/null | grep -q 'version $(LINT_VERSION:v%=%) ' || \
		$(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	$(LINT) run ./...

bench: ## Measure side by side with Node's Socket.IO and print the table of ratios
	$(GO) run ./bench $(ARGS)

clean: ## Remove what was built and installed here
	rm -rf bin internal/e2e/node_modules bench/node/node_modules
