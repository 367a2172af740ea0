# porttrace. `make` builds; `make help` lists the rest. Each target installs the Debian packages that it needs
# (scripts/packages) and skips that at once when they are there.

SWIFT ?= swift
BINARY := .build/release/porttrace
ARGS ?=

.PHONY: build help run demo test test-kernels test-release test-pods bench soak check fmt dist image clean
.NOTPARALLEL:

## build: the static release binary, .build/release/porttrace (the default)
build: toolchain
	@scripts/packages build
	$(SWIFT) build -c release --product porttrace

help:
	@sed -n 's/^## /  /p' Makefile

## run: attach to this machine; options in ARGS, as in make run ARGS='-o ndjson -d 10s'
run: build
	$(BINARY) $(ARGS)

## demo: a node in trouble, staged in throw-away namespaces, and what porttrace says about it
demo: build
	@scripts/packages demo
	demo/run $(BINARY)

# Failures of each client in the exactness tests. Each program's default is 10,000; these keep CI short.
NATIVE_COUNT ?= 2000
GUEST_COUNT ?= 300
# Packets refused in a scenario of Tests/kernel/conntrack, whose default is 5,000.
NATIVE_PACKETS ?= 500
GUEST_PACKETS ?= 300
# Connections closed in a scenario of Tests/kernel/timewait, whose default is 20,000.
NATIVE_CLOSES ?= 5000
GUEST_CLOSES ?= 200
# Sockets held under load in Tests/kernel/census.
NATIVE_SOCKETS ?= 2000
GUEST_SOCKETS ?= 500
# Debian's kernels from the oldest to the newest, and some of them.
KERNELS ?= bullseye,bookworm,trixie,trixie-backports
ENDS ?= bullseye,trixie-backports
OLDEST ?= bullseye
MIDDLE ?= trixie
PODS_KERNELS ?= bookworm,trixie
# One host thread for each machine's CPUs: with one for each CPU QEMU 7.2 now and then stalls a guest whose code is patched.
GUESTS := --modes auto --by-turns

## test: unit tests; with the right to load BPF also the tests against this kernel
test: build
	@scripts/packages test
	$(SWIFT) test
	$(SWIFT) build -c release --product replayed-top
	Tests/screen/run --product $(BINARY) .build/release/replayed-top
	Tests/kernel/selftest
	Tests/kernel/track/selftest.py
	Tests/kernel/staged/selftest.py
	Tests/kernel/pods/selftest.py
	@if scripts/can-load-bpf; then \
		set -ex; Tests/kernel/run --count $(NATIVE_COUNT); Tests/kernel/conntrack --count $(NATIVE_PACKETS); \
		Tests/kernel/timewait --count $(NATIVE_CLOSES); \
		$(SWIFT) build -c release --product census-ports; Tests/kernel/census --count $(NATIVE_SOCKETS); \
		$(SWIFT) build -c release --product read-tables; Tests/kernel/tables; \
		Tests/kernel/pressure; Tests/kernel/check; Tests/kernel/top; Tests/kernel/robustness; \
	else echo 'Tests/kernel/run, conntrack, timewait, census, tables, pressure, check, top and robustness: SKIPPED, see above'; fi

## test-kernels: these tests inside Debian's kernels, each in a virtual machine, where kernels differ the most
test-kernels: build
	@scripts/packages test kernels
	Tests/kernel/matrix --kernels $(KERNELS) $(GUESTS) -- --count $(GUEST_COUNT)
	Tests/kernel/matrix --kernels $(ENDS) $(GUESTS) --modes kprobe,tracepoint -- --count $(GUEST_COUNT) \
		--only connect,bind,conflict
	Tests/kernel/matrix --program conntrack --kernels $(KERNELS) $(GUESTS) -- --count $(GUEST_PACKETS) \
		--only full,snat,evict,late
	Tests/kernel/matrix --program timewait --kernels $(OLDEST) $(GUESTS) -- --count $(GUEST_CLOSES)
	$(SWIFT) build -c release --product census-ports
	@# Without load: a look and two of ss take a guest so long that all has changed meanwhile.
	Tests/kernel/matrix --program census --kernels $(OLDEST) $(GUESTS) --cpus 1 -- --count $(GUEST_SOCKETS) \
		--only open-sockets,udp-sockets,time-wait,several-namespaces,own-tables
	$(SWIFT) build -c release --product read-tables
	Tests/kernel/matrix --program tables --kernels $(OLDEST) $(GUESTS)
	@# What this kernel, or one that is locked down, may not show natively.
	Tests/kernel/matrix --program check --kernels $(MIDDLE) $(GUESTS) -- \
		--only ports-open,bind-tcp,bind-udp,table-evicting,no-netlink
	Tests/kernel/robustness --kernels $(ENDS) --by-turns --scale 0.01

## test-release: all of these tests on all of these kernels, in every mode; for hours
test-release: build
	@scripts/packages test kernels
	Tests/kernel/matrix --kernels $(KERNELS)
	Tests/kernel/matrix --program conntrack --kernels $(KERNELS) --at-once 1 --timeout 7200 -- --skip midway
	@# It patches the kernel's code while packets run through it.
	Tests/kernel/matrix --program conntrack --kernels $(KERNELS) --modes auto --by-turns -- --only midway
	Tests/kernel/matrix --program timewait --kernels $(KERNELS) --modes auto --at-once 1 -- --count 2000
	$(SWIFT) build -c release --product census-ports
	Tests/kernel/matrix --program census --kernels $(KERNELS) --modes auto --at-once 1 --cpus 1
	$(SWIFT) build -c release --product read-tables
	for program in tables pressure check top; do \
		Tests/kernel/matrix --program $$program --kernels $(KERNELS) --modes auto --at-once 1 || exit 1; done
	Tests/kernel/robustness --kernels $(KERNELS) --scale 1

## test-pods: real pods, containers and units by their names: on this kernel, and in guests with and without systemd
test-pods: build
	@scripts/packages test kernels pods image
	Tests/kernel/pods/selftest.py
	@if scripts/can-load-bpf; then set -ex; Tests/kernel/names; else echo 'Tests/kernel/names: SKIPPED, see above'; fi
	Tests/kernel/matrix --program names --kernels $(PODS_KERNELS) --modes auto --at-once 1
	Tests/kernel/matrix --program names --kernels $(PODS_KERNELS) --modes auto --at-once 1 --systemd

## bench: what a hook costs a connect, events per second, CPU time per failure
bench: build
	@scripts/packages test kernels bench
	Tests/bench/run

## soak: a minute of fuzzing
soak: toolchain
	@scripts/packages build test
	Tests/soak/run

## check: formatting and lint, and the BPF programs compiled for every architecture
check: toolchain
	@scripts/packages build check
	scripts/check

## fmt: format the Swift and C sources in place
fmt: toolchain
	@scripts/packages build check
	scripts/fmt

## dist: the stripped binary with its version and a checksum, in dist/
dist: build
	scripts/dist $(BINARY)

## image: the container image as an OCI archive, in dist/
image: build
	@scripts/packages image
	scripts/image $(BINARY)

## clean: remove what was built
clean:
	rm -rf .build dist

.PHONY: toolchain
toolchain:
	@command -v $(SWIFT) >/dev/null || { \
		echo 'make: no Swift toolchain in PATH: install Swift 6.2 or newer from https://swift.org/install' >&2; exit 1; }
