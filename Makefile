# tokend: `make help` lists the targets. CI runs exactly `make check`.

PREFIX  = /usr/local
DESTDIR =
BINARY  = bin/tokend
GO      = go

BINDIR      = $(PREFIX)/bin
LIBDIR      = $(PREFIX)/lib
MANDIR      = $(PREFIX)/share/man
DOCDIR      = $(PREFIX)/share/doc/tokend
FUZZTIME    = 5s
STATICCHECK = $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2

# Quick checks first, all tests last.
CHECKS = format vet fix modules texts staticcheck systems build man units race fuzz demo boot test

.PHONY: help check faults bench-compare bench-load bench-docs install uninstall $(CHECKS) lint clean

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 22

build: ## build bin/tokend, static
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/tokend ./cmd/tokend

test: ## run the tests with the command that both READMEs show, and list the skipped ones
	@test "$$(grep -c '^go test ' README.md)" = 1
	@test "$$(grep '^go test ' README.md)" = "$$(grep '^go test ' README.zh-CN.md)"
	@command=$$(grep '^go test ' README.md); echo "$$command"; $(GO) run ./.ci/skips $(REQUIRE) $$command

race: ## run the tests shuffled, with the race detector
	$(GO) test -race -shuffle=on -p 4 ./...

fuzz: ## run every fuzz target for FUZZTIME (5s)
	@$(GO) list ./... | while read -r package; do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			.ci/fuzz $$package $$target $(FUZZTIME) || exit 1; \
		done; \
	done

demo: ## run the demo
	$(GO) run ./cmd/tokend demo

faults: ## run the long fault tests of docs/assurance.md (root; 20 minutes)
	@.ci/faults

bench-compare: ## compare with Redis and an echo server in 13 minutes; QUICK=-quick: in 7
	$(GO) run ./benchmarks/compare $(QUICK)

bench-load: ## measure reads under load; BEFORE=binary: compare with another tokend
	$(GO) run ./benchmarks/load $(QUICK) $(if $(BEFORE),-before $(BEFORE))

bench-docs: ## run bench-compare and update the figures in docs/
	@mkdir -p bin docs
	$(GO) run ./benchmarks/compare -out docs/benchmarks.json >bin/benchmarks.txt
	@mv bin/benchmarks.txt docs/benchmarks.txt
	$(GO) run ./benchmarks/plot docs/benchmarks.json docs

lint: format vet fix modules texts staticcheck systems man units ## run every check that executes no tests

format: ## check gofmt
	@files=$$(gofmt -l .); test -z "$$files" || { echo "gofmt: $$files"; exit 1; }

vet: ## run go vet
	$(GO) vet ./...

staticcheck: ## run staticcheck
	$(STATICCHECK) ./...

systems: ## build for other operating systems
	@.ci/systems

fix: ## show what go fix would modernize
	$(GO) fix -diff ./...

modules: ## verify go.mod, go.sum and the modules
	$(GO) mod verify
	$(GO) mod tidy -diff

texts: ## check all texts: no local path, key or unfinished work; words and line lengths
	@.ci/texts

man: ## lint the man page
	mandoc -Tlint -W warning systemd/tokend.8

units: ## check the units: no message from verify, an exposure of at most 1.2
	@.ci/units

boot: ## run the units under systemd (root; skipped on hosts that cannot)
	@systemd/test-boot $(BINARY) || { status=$$?; test $$status = 77 && echo "boot: SKIPPED, see above" || exit $$status; }

check: ## run all checks and time each; fails if a test of docs/assurance.md is skipped
	@for step in $(CHECKS); do \
		echo "== $$step"; begin=$$(date +%s); \
		$(MAKE) --no-print-directory REQUIRE='-require docs/assurance.md' $$step || { echo "== $$step: FAILED"; exit 1; }; \
		echo "== $$step: $$(($$(date +%s) - begin)) s"; \
	done

install: ## install BINARY, units, man page and examples (DESTDIR, PREFIX)
	@test -x $(BINARY) || { echo "$(BINARY) does not exist: run make build"; exit 1; }
	install -D -m 0755 $(BINARY) $(DESTDIR)$(BINDIR)/tokend
	install -d $(DESTDIR)$(LIBDIR)/systemd/system
	sed "s|/usr/bin/tokend|$(BINDIR)/tokend|" systemd/tokend.service >$(DESTDIR)$(LIBDIR)/systemd/system/tokend.service
	chmod 0644 $(DESTDIR)$(LIBDIR)/systemd/system/tokend.service
	install -m 0644 systemd/tokend.socket $(DESTDIR)$(LIBDIR)/systemd/system/tokend.socket
	install -D -m 0644 systemd/tokend.sysusers $(DESTDIR)$(LIBDIR)/sysusers.d/tokend.conf
	install -D -m 0644 systemd/tokend.tmpfiles $(DESTDIR)$(LIBDIR)/tmpfiles.d/tokend.conf
	install -D -m 0644 systemd/tokend.8 $(DESTDIR)$(MANDIR)/man8/tokend.8
	install -d $(DESTDIR)$(DOCDIR)
	install -m 0644 systemd/tokend.toml docs/prometheus.yml docs/tokend.rules.yml $(DESTDIR)$(DOCDIR)

uninstall: ## remove installed files, but not configuration and state (DESTDIR, PREFIX)
	rm -f $(DESTDIR)$(BINDIR)/tokend
	rm -f $(DESTDIR)$(LIBDIR)/systemd/system/tokend.service $(DESTDIR)$(LIBDIR)/systemd/system/tokend.socket
	rm -f $(DESTDIR)$(LIBDIR)/sysusers.d/tokend.conf $(DESTDIR)$(LIBDIR)/tmpfiles.d/tokend.conf
	rm -f $(DESTDIR)$(MANDIR)/man8/tokend.8
	rm -f $(DESTDIR)$(DOCDIR)/tokend.toml $(DESTDIR)$(DOCDIR)/prometheus.yml $(DESTDIR)$(DOCDIR)/tokend.rules.yml
	@test ! -d $(DESTDIR)$(DOCDIR) || rmdir --ignore-fail-on-non-empty $(DESTDIR)$(DOCDIR)

clean: ## remove bin
	rm -rf bin
