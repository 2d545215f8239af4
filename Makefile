# tokend: `make help` says what there is. `make check` is exactly what CI runs.

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

# In this order: what is quick to fail first, the whole of go test last.
CHECKS = format vet fix modules texts staticcheck systems build man units race fuzz demo boot test

.PHONY: help check faults bench-compare bench-load bench-docs install uninstall $(CHECKS) lint clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 22

build: ## bin/tokend, static
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/tokend ./cmd/tokend

test: ## the tests, by the command that both READMEs give, and a list of those skipped
	@test "$$(grep -c '^go test ' README.md)" = 1
	@test "$$(grep '^go test ' README.md)" = "$$(grep '^go test ' README.zh-CN.md)"
	@command=$$(grep '^go test ' README.md); echo "$$command"; $(GO) run ./.ci/skips $(REQUIRE) $$command

race: ## the tests, shuffled, with the race detector
	$(GO) test -race -shuffle=on -p 4 ./...

fuzz: ## every fuzz target for FUZZTIME (5s)
	@$(GO) list ./... | while read -r package; do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			.ci/fuzz $$package $$target $(FUZZTIME) || exit 1; \
		done; \
	done

demo: ## the whole thing in one command
	$(GO) run ./cmd/tokend demo

faults: ## every long round of faults that docs/assurance.md names (root; twenty minutes)
	@.ci/faults

bench-compare: ## beside Redis and a bare echo, in 13 minutes; QUICK=-quick: in 7
	$(GO) run ./benchmarks/compare $(QUICK)

bench-load: ## reads beside lists, scrapes, reloads, writes; BEFORE=binary: and another tokend
	$(GO) run ./benchmarks/load $(QUICK) $(if $(BEFORE),-before $(BEFORE))

bench-docs: ## the same, and what docs/ shows of it
	@mkdir -p bin docs
	$(GO) run ./benchmarks/compare -out docs/benchmarks.json >bin/benchmarks.txt
	@mv bin/benchmarks.txt docs/benchmarks.txt
	$(GO) run ./benchmarks/plot docs/benchmarks.json docs

lint: format vet fix modules texts staticcheck systems man units ## everything that looks and does not run

format: ## gofmt
	@files=$$(gofmt -l .); test -z "$$files" || { echo "gofmt: $$files"; exit 1; }

vet: ## go vet
	$(GO) vet ./...

staticcheck: ## staticcheck
	$(STATICCHECK) ./...

systems: ## builds for other systems than this one
	@.ci/systems

fix: ## what go fix would modernise
	$(GO) fix -diff ./...

modules: ## go.mod, go.sum, and what they name
	$(GO) mod verify
	$(GO) mod tidy -diff

texts: ## no path of somebody's machine, no key, nothing left to do
	@.ci/texts

man: ## the man page's form
	mandoc -Tlint -W warning systemd/tokend.8

units: ## the units: silent under verify, at most 1.2 under security
	@.ci/units

boot: ## the units under a real systemd (root; skipped where the host cannot)
	@systemd/test-boot $(BINARY) || { status=$$?; test $$status = 77 && echo "boot: SKIPPED, see above" || exit $$status; }

check: ## all of it, with the seconds each step took; no test that docs/assurance.md names may be skipped
	@for step in $(CHECKS); do \
		echo "== $$step"; begin=$$(date +%s); \
		$(MAKE) --no-print-directory REQUIRE='-require docs/assurance.md' $$step || { echo "== $$step: FAILED"; exit 1; }; \
		echo "== $$step: $$(($$(date +%s) - begin)) s"; \
	done

install: ## BINARY, units, man page, examples (DESTDIR, PREFIX)
	@test -x $(BINARY) || { echo "there is no $(BINARY): make build"; exit 1; }
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

uninstall: ## what install has made; the configuration and the state stay (DESTDIR, PREFIX)
	rm -f $(DESTDIR)$(BINDIR)/tokend
	rm -f $(DESTDIR)$(LIBDIR)/systemd/system/tokend.service $(DESTDIR)$(LIBDIR)/systemd/system/tokend.socket
	rm -f $(DESTDIR)$(LIBDIR)/sysusers.d/tokend.conf $(DESTDIR)$(LIBDIR)/tmpfiles.d/tokend.conf
	rm -f $(DESTDIR)$(MANDIR)/man8/tokend.8
	rm -f $(DESTDIR)$(DOCDIR)/tokend.toml $(DESTDIR)$(DOCDIR)/prometheus.yml $(DESTDIR)$(DOCDIR)/tokend.rules.yml
	@test ! -d $(DESTDIR)$(DOCDIR) || rmdir --ignore-fail-on-non-empty $(DESTDIR)$(DOCDIR)

clean: ## remove bin
	rm -rf bin
