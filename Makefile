# "make help" lists the targets. "make run" and "make test" set up what they
# need: Go modules come by themselves, plugins are built from source.

PLUGINS := posts sharing signing status
WASM    := $(PLUGINS:%=build/%.wasm)
GUEST   := $(shell find abi plugins -name '*.go' -not -name '*_test.go' 2>/dev/null) go.mod
HOST    := $(shell find abi cmd host plugins store -name '*.go' -not -name '*_test.go' 2>/dev/null) $(wildcard cmd/edgeset/template/*) go.mod

npm = $(1:%=%/node_modules/.package-lock.json)

# The pages that the sharing plugin serves, bundled.
PAGES := plugins/sharing/pages
BUILT := $(PAGES)/dist/view.html

# What tests and benchmarks need of npm, at exact versions: clients of socket.io, an
# OpenID Connect provider, MD5 for a form, a driver of browsers and a check of
# accessibility, a server of socket.io to compare with.
CLIENTS := $(call npm,cmd/edgeset/testdata/oidc cmd/edgeset/testdata/pages cmd/edgeset/testdata/posts cmd/edgeset/testdata/status host/realtime/socketio/testdata/clients)
RIVAL   := $(call npm,cmd/edgeset/testdata/fanout)

# Only what a plain Go installation has.
export CGO_ENABLED ?= 0

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## build, then serve on 127.0.0.1:8080 (admin on 127.0.0.1:8081, state in ./data)
	bin/edgeset serve

.PHONY: build
build: bin/edgeset ## build bin/edgeset and build/<plugin>.wasm, which it embeds

bin/edgeset: $(HOST) $(WASM)
	@mkdir -p plugins/wasm
	cp $(WASM) plugins/wasm/
	go build -trimpath -o $@ ./cmd/edgeset

build/%.wasm: $(GUEST)
	@mkdir -p build
	GOOS=wasip1 GOARCH=wasm go build -trimpath -buildmode=c-shared -o $@ ./plugins/$*

build/sharing.wasm: $(BUILT)

$(BUILT): $(shell find $(PAGES)/src $(PAGES)/build.mjs -type f 2>/dev/null) $(call npm,$(PAGES))
	cd $(PAGES) && node build.mjs
	@touch $@

# What tests need besides Go and Node: a C compiler for the race detector, PHP for
# a sample of the posts API's own document, an OpenID 2.0 provider, readers of feeds,
# of property lists and of XML, a registry of plugins, a tool for signatures, an SMTP
# server. As root they are installed, otherwise make says what is missing. A browser is
# large, and its tests are skipped where there is none.
.PHONY: tools
tools:
	@missing=; \
	command -v gcc >/dev/null || missing="$$missing gcc libc6-dev"; \
	command -v php >/dev/null || missing="$$missing php-cli"; \
	/usr/bin/python3 -c 'import openid' 2>/dev/null || missing="$$missing python3-openid"; \
	/usr/bin/python3 -c 'import aiosmtpd' 2>/dev/null || missing="$$missing python3-aiosmtpd"; \
	/usr/bin/python3 -c 'import feedparser' 2>/dev/null || missing="$$missing python3-feedparser"; \
	command -v xmllint >/dev/null || missing="$$missing libxml2-utils"; \
	command -v plistutil >/dev/null || missing="$$missing libplist-utils"; \
	command -v docker-registry >/dev/null || missing="$$missing docker-registry"; \
	command -v minisign >/dev/null || missing="$$missing minisign"; \
	test -z "$$missing" || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; } || { \
		echo "make: the tests need these Debian packages: please install$$missing"; exit 1; }
	@command -v chromium-headless-shell >/dev/null || command -v chromium >/dev/null || { \
		test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium-headless-shell; } || \
		echo "make: tests in a browser are skipped: they need the Debian package chromium-headless-shell"

.PHONY: test
test: export EDGESET_REQUIRE_TOOLS := 1
test: build lint tools $(CLIENTS) ## run everything that must pass
	cd $(PAGES) && node --test
	go test -timeout 20m ./...
	CGO_ENABLED=1 go test -race -short -timeout 30m ./abi/... ./cmd/... ./host/... ./plugins/... ./store/...

# One package at a time: two would measure each other.
BENCH := go test -p 1 -run '^$$' -bench . -benchtime 300ms -timeout 60m ./host/... ./plugins/... ./store/... ./abi/... ./cmd/...

.PHONY: bench
bench: build $(RIVAL) ## run the benchmarks, side by side with their peers (12 minutes); writes build/bench.json
	@rm -f build/bench.json
	EDGESET_BENCH_JSON=$(CURDIR)/build/bench.json $(BENCH)
	@go run ./host/bench/table -command "make bench ($(BENCH))" build/bench.json

# What the peers of bench-peers need of npm, at exact versions.
PEERS := $(call npm,host/bench/peers/workerd host/bench/peers/node)

%/node_modules/.package-lock.json: %/package-lock.json
	cd $* && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

.PHONY: bench-peers
bench-peers: build $(PEERS) ## compare over HTTP with other hosts, workerd and Node.js (5 minutes); writes build/bench-peers.json
	@rm -f build/bench-peers.json
	go run ./host/bench/peers -json build/bench-peers.json

.PHONY: soak
soak: build ## share and view for a minute: 200 sharers, 1,000 viewers
	go test -count 1 -run '^TestSoak$$' -timeout 10m -v ./cmd/edgeset -soak

.PHONY: swap-drill
swap-drill: export EDGESET_REQUIRE_TOOLS := 1
swap-drill: build tools ## swap all plugins 200 times under load (minutes); writes build/swap-drill.json
	@rm -f build/swap-drill.json
	go test ./cmd/edgeset -count 1 -run '^TestSwapDrill$$' -v -timeout 30m -args -drill 200 -drill.out $(CURDIR)/build/swap-drill.json

.PHONY: outbox-drill
outbox-drill: export EDGESET_REQUIRE_TOOLS := 1
outbox-drill: build tools ## send 10,000 mails through a server that fails, with three kill -9 (minutes)
	go test ./cmd/edgeset -count 1 -run '^TestOutboxDrill$$' -v -timeout 25m -args -outbox 10000

.PHONY: fmt
fmt: ## format the code
	gofmt -w abi cmd host plugins store

.PHONY: lint
lint: build ## gofmt, vet and staticcheck
	@unformatted=$$(gofmt -l abi cmd host plugins store); test -z "$$unformatted" || { echo "gofmt: $$unformatted"; exit 1; }
	go vet ./...
	GOOS=wasip1 GOARCH=wasm go vet ./abi/guest ./plugins/sharing ./plugins/signing ./plugins/status ./plugins/posts ./host/bench/peers/empty/guest ./host/bench/peers/extism/guest ./host/bench/peers/httpwasm/guest
	go tool staticcheck ./...

.PHONY: clean
clean: ## remove what was built (not ./data)
	rm -rf bin build plugins/wasm/*.wasm $(PAGES)/dist/*
