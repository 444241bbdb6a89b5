# Everything a contributor types. `make demo` and `make test` work on a fresh machine: scripts/need installs
# what they lack, or says how.

.DEFAULT_GOAL := help
SHELL := bash
# cargo's own directory first: a fresh rustup is not yet on the PATH of an open shell. Last, where Go is unpacked by hand.
export PATH := $(or $(CARGO_HOME),$(HOME)/.cargo)/bin:$(PATH):/usr/local/go/bin

# more arguments, e.g. make demo ARGS='--web.listen-address :9999', make test ARGS='lag', make bench ARGS='--only 2000'
ARGS ?=

.PHONY: help demo test lag-report bench test-servers test-kubernetes test-deploy fuzz check build fmt check-fmt check-lint check-docs check-deny check-rules

help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s  %s\n", $$1, $$2 }' Makefile

demo: ## start a private redis-server with a sample workload and serve on it, until Ctrl-C
	@scripts/need cargo cc redis-server
	@cargo run --release --locked -- demo $(ARGS)

test: ## run all tests, against real servers
	@scripts/need cargo cc redis-server prometheus promtool chromium python3 go
	@line=$$(scripts/test-examples) && export "$$line" && set -x && \
	STREAMGAUGE_TEST_REQUIRE_ALL=1 cargo test --locked $(ARGS)

lag-report: ## print how often a lag is exact, for each workload and server version
	@scripts/need cargo cc redis-server
	@line=$$(scripts/test-servers) && export "$$line" && \
	cargo test --locked --test lag workloads -- --nocapture 2>&1 | grep '^|'

bench: ## measure it beside redis_exporter, some twelve minutes on an idle machine once it is built, and write docs/benchmarks.md
	@scripts/need cargo cc
	@lines=$$(scripts/test-servers redis-8.0 && scripts/bench-peer && scripts/static-binary) && export $$lines && \
	cargo bench --locked --bench side_by_side -- $(ARGS)

test-servers: ## fetch other Redis and Valkey versions to test against
	@scripts/test-servers $(ARGS)

test-kubernetes: ## build a Kubernetes control plane (ten minutes, once; needs Go) and test behind it
	@scripts/need cargo cc redis-server
	@lines=$$(scripts/test-deploy && scripts/test-kubernetes) && export $$lines && \
	cargo test --locked --test kubernetes $(ARGS)

test-deploy: ## fetch helm and kubectl (some minutes, once; needs Go), build the image's binary, and test all that deploys it
	@scripts/need cargo cc redis-server
	@lines=$$(scripts/test-deploy && scripts/static-binary) && export $$lines && \
	as_root=$$([ "$$(id -u)" = 0 ] || echo "sudo -n -E env PATH=$$PATH") && \
	STREAMGAUGE_TEST_REQUIRE_ALL=1 cargo test --locked --test deploy $${as_root:+--config "target.'cfg(unix)'.runner='$$as_root'"} $(ARGS)

fuzz: ## feed the decoder random replies until Ctrl-C (needs a nightly Rust and cargo-fuzz)
	@mkdir -p fuzz/corpus/decode
	cargo +nightly fuzz run decode fuzz/corpus/decode fuzz/seeds -- $(ARGS)

check: check-fmt check-lint check-docs check-deny check-rules ## format, lints, docs, dependencies, alert rules

build: ## build the release binary
	@scripts/need cargo cc
	cargo build --release --locked

fmt: ## format the sources
	@scripts/need cargo
	cargo fmt

check-fmt:
	@scripts/need cargo
	cargo fmt --check

check-lint:
	@scripts/need cargo cc
	cargo clippy --all-targets --locked -- -D warnings

check-docs:
	@scripts/need cargo cc
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --locked

# Not the advisories: they change without us, and a change must not fail for what was published meanwhile.
# The public workflow looks at them on each push and every day.
check-deny:
	@scripts/need cargo-deny
	cargo deny --locked check --hide-inclusion-graph licenses bans sources

check-rules:
	@scripts/need promtool
	@shopt -s nullglob; example=deploy/examples/order-processor; \
	rules=(alerts/*.yml $$example/alerts.yml); tests=(alerts/tests/*.yml $$example/alerts.test.yml); \
	if (($${#rules[@]})); then promtool check rules "$${rules[@]}"; else echo 'no alerts/*.yml to check'; fi && \
	if (($${#tests[@]})); then promtool test rules "$${tests[@]}"; fi
