# tokend: `make help` lists the targets. CI runs exactly `make check`.

PREFIX  = /usr/local
DESTDIR =
BINARY  = bin/tokend
GO      = go

BINDIR      = $(PREFIX)/bin
LIBDIR      = $(PREFIX)/lib
MANDIR      = $(PREFIX)/share/man
DOCDIR      = $(PREFIX)/share/doc/tokend
CLIENTDIR   = $(PREFIX)/share/tokend
BASHDIR     = $(PREFIX)/share/bash-completion/completions
ZSHDIR      = $(PREFIX)/share/zsh/site-functions
FISHDIR     = $(PREFIX)/share/fish/vendor_completions.d
UNITDIR     = $(LIBDIR)/systemd/system
FUZZTIME    = 5s
STATICCHECK = $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2

# What `tokend version` prints. A build without VERSION is a development version.
VERSION ?=
COMMIT  = $(shell git describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null)
DATE    = $(shell TZ=UTC0 git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null)
STAMP   = -X main.release=$(VERSION) -X main.commit=$(COMMIT) -X main.date=$(DATE)

# The compiler of releases, whatever is installed here.
TOOLCHAIN = $(shell sed -n 's/^toolchain //p' go.mod)

# The version of packages without VERSION. It is lower than every release.
PACKAGE = $(or $(VERSION),0.0.0-$(shell git log -1 --date=format:%Y%m%d%H%M%S --format=%cd).$(COMMIT))

# Installed documentation. The pages keep their places, so that links between them work.
PAGES    = README.md README.zh-CN.md CHANGELOG.md SECURITY.md $(wildcard docs/*.md docs/*.svg docs/zh/*.md)
EXAMPLES = systemd/tokend.toml systemd/tokend.zh-CN.toml docs/prometheus.yml docs/tokend.rules.yml $(wildcard docs/tokend-dashboard.json)

# Installed clients in other languages, without their tests.
CLIENTS = $(patsubst clientlib/%,%,$(wildcard clientlib/php/*.php clientlib/php/composer.json \
	$(foreach dir,EasyWeChat Laravel examples,clientlib/php/$(dir)/*.php) clientlib/csharp/Tokend.cs clientlib/csharp/Tokend.csproj))

# A program that runs on this host and writes the completions, if BINARY is for another.
COMPLETER = $(BINARY)

# Quick checks first, all tests last.
CHECKS = format vet fix modules texts staticcheck systems build man units race fuzz demo sdks boot packages image clients schedules test

.PHONY: help check screenshots faults simulate mutants bench-compare bench-load bench-docs package release install uninstall $(CHECKS) lint clean

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 22

build: ## build BINARY, static; VERSION=x.y.z: a release
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '-s -w $(STAMP)' -o $(BINARY) ./cmd/tokend

package: ## build .deb and .rpm packages into dist; VERSION=x.y.z: of a release
	systemd/packaging/build $(PACKAGE)

release: ## build packages, archives, SBOM and checksums into dist, signed with RELEASE_KEY; needs VERSION=x.y.z
	@test -n "$(VERSION)" || { echo "which release? make release VERSION=x.y.z"; exit 1; }
	GOTOOLCHAIN=$(TOOLCHAIN) systemd/packaging/release $(VERSION)

test: ## run the tests with the command that both READMEs show, and list the skipped ones
	@test "$$(grep -c '^go test ' README.md)" = 1
	@test "$$(grep '^go test ' README.md)" = "$$(grep '^go test ' README.zh-CN.md)"
	@command=$$(grep '^go test ' README.md); echo "$$command"; AXE=$$(.ci/axe) $(GO) run ./.ci/skips $(REQUIRE) $$command

# Some tests measure real processes: more packages at once than processors would disturb them.
race: ## run the tests shuffled, with the race detector
	n=$$(getconf _NPROCESSORS_ONLN); $(GO) test -race -shuffle=on -p $$((n < 4 ? n : 4)) ./...

fuzz: ## run every fuzz target for FUZZTIME (5s)
	@$(GO) list ./... | while read -r package; do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			.ci/fuzz $$package $$target $(FUZZTIME) || exit 1; \
		done; \
	done

demo: ## run the demos of a single host and of three hosts
	$(GO) run ./cmd/tokend demo
	$(GO) run ./cmd/tokend demo --hosts 3

sdks: ## run SDKs for WeChat, clients of Redis and the manual's code against the sandbox
	cd clientlib/sdktest && $(GO) mod tidy -diff && $(GO) vet ./... && TOOLS=$(if $(REQUIRE),required) $(GO) test -count=1 -race ./...

faults: ## run the long fault tests of docs/assurance.md (root; 20 minutes)
	@.ci/faults

SIMULATE = $(GO) test ./daemon/cluster/simulation -count=1 -timeout=0 -v -run

# The seeds are always the same, and a failure must happen twice, so that it is due to the change:
# goroutines of one instant may run in another order. simulate has new seeds.
schedules: ## simulate schedules of several hosts for 120 s, at least 2000
	$(SIMULATE) '^TestSimulate$$' -schedules 2000 -lasting 120s -first 1000000 -again

simulate: ## simulate 20 000 schedules of several hosts; SEED=n: that one
	$(SIMULATE) '^TestSimulate$$' $(if $(SEED),-seed $(SEED),-schedules 20000)

mutants: ## simulate the protocol without each of its rules, until that is noticed
	$(SIMULATE) '^TestMutants$$' -mutants

bench-compare: ## compare with Redis and an echo server in 13 minutes; QUICK=-quick: in 7
	$(GO) run ./benchmarks/compare $(QUICK)

bench-load: ## measure reads under load; BEFORE=binary: compare with another tokend
	$(GO) run ./benchmarks/load $(QUICK) $(if $(BEFORE),-before $(BEFORE))

bench-docs: ## run bench-compare and update the figures in docs/
	@mkdir -p bin docs
	$(GO) run ./benchmarks/compare -out docs/benchmarks.json >bin/benchmarks.txt
	@mv bin/benchmarks.txt docs/benchmarks.txt
	$(GO) run ./benchmarks/plot docs/benchmarks.json docs

screenshots: ## make the screenshots of the status page in docs/ (Chromium)
	@mkdir -p bin/screenshots
	$(GO) test ./daemon/page -count=1 -run '^TestScreenshots$$' -args -shots $(CURDIR)/bin/screenshots
	cp bin/screenshots/300-all-1280-light-en.png docs/status.png
	cp bin/screenshots/20000-family-1280-dark-en.png docs/status-family.png
	cp bin/screenshots/300-one-1280-light-en.png docs/status-credential.png
	cp bin/screenshots/300-all-1280-light-zh.png docs/zh/status.png
	cp bin/screenshots/20000-all-390-dark-zh.png docs/zh/status-phone.png

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
	@for script in test-boot test-mistakes; do \
		systemd/$$script $(BINARY) || { status=$$?; test $$status = 77 && echo "boot: SKIPPED, see above" || exit $$status; }; \
	done

packages: ## build packages twice, lint them, and use them under systemd (root; skipped like boot)
	@systemd/packaging/test-packages || { status=$$?; test $$status = 77 && echo "packages: SKIPPED, see above" || exit $$status; }

image: ## run the root file system of the container image (root; skipped like boot)
	@systemd/packaging/test-image || { status=$$?; test $$status = 77 && echo "image: SKIPPED, see above" || exit $$status; }

clients: build ## test the clients in other languages; needs the packages in .ci/run
	@clientlib/php/tests/run $(BINARY)
	@out=$$($(GO) test -count=1 -v -run 'OtherLanguages|CSharp' ./clientlib ./cmd/tokend) || { echo "$$out"; exit 1; }; \
		if echo "$$out" | grep -e '--- SKIP'; then exit 1; fi

check: ## run all checks and time each; fails if a test of docs/assurance.md is skipped
	@for step in $(CHECKS); do \
		echo "== $$step"; begin=$$(date +%s); \
		$(MAKE) --no-print-directory REQUIRE='-require docs/assurance.md' $$step || { echo "== $$step: FAILED"; exit 1; }; \
		echo "== $$step: $$(($$(date +%s) - begin)) s"; \
	done

# The new program replaces the old one in one step, so that processes that run it never fail.
install: ## install BINARY, units, man page, documentation, examples and clients (DESTDIR, PREFIX)
	@test -x $(BINARY) || { echo "$(BINARY) does not exist: run make build"; exit 1; }
	install -D -m 0755 $(BINARY) $(DESTDIR)$(BINDIR)/.tokend.new
	mv -f $(DESTDIR)$(BINDIR)/.tokend.new $(DESTDIR)$(BINDIR)/tokend
	install -d $(DESTDIR)$(UNITDIR) $(DESTDIR)$(BASHDIR) $(DESTDIR)$(ZSHDIR) $(DESTDIR)$(FISHDIR)
	sed "s|/usr/bin/tokend|$(BINDIR)/tokend|" systemd/tokend.service >$(DESTDIR)$(UNITDIR)/tokend.service
	$(COMPLETER) completion bash >$(DESTDIR)$(BASHDIR)/tokend
	$(COMPLETER) completion zsh >$(DESTDIR)$(ZSHDIR)/_tokend
	$(COMPLETER) completion fish >$(DESTDIR)$(FISHDIR)/tokend.fish
	chmod 0644 $(DESTDIR)$(UNITDIR)/tokend.service $(DESTDIR)$(BASHDIR)/tokend $(DESTDIR)$(ZSHDIR)/_tokend $(DESTDIR)$(FISHDIR)/tokend.fish
	install -m 0644 systemd/tokend.socket $(DESTDIR)$(UNITDIR)/tokend.socket
	install -D -m 0644 systemd/tokend.sysusers $(DESTDIR)$(LIBDIR)/sysusers.d/tokend.conf
	install -D -m 0644 systemd/tokend.tmpfiles $(DESTDIR)$(LIBDIR)/tmpfiles.d/tokend.conf
	install -D -m 0644 systemd/tokend.8 $(DESTDIR)$(MANDIR)/man8/tokend.8
	install -d $(DESTDIR)$(DOCDIR)/docs/zh
	install -m 0644 $(EXAMPLES) $(DESTDIR)$(DOCDIR)
	@for page in $(PAGES); do install -m 0644 $$page $(DESTDIR)$(DOCDIR)/$$page || exit 1; done
	@for file in $(CLIENTS); do install -D -m 0644 clientlib/$$file $(DESTDIR)$(CLIENTDIR)/$$file || exit 1; done

# With DESTDIR, or if the running units are another installation's, no unit is stopped.
uninstall: ## stop the units, remove installed files, but not configuration and state (DESTDIR, PREFIX)
	@if test -z "$(DESTDIR)" && test "$$(systemctl show -P FragmentPath tokend.socket 2>/dev/null)" = $(UNITDIR)/tokend.socket; then \
		systemctl disable --now tokend.socket tokend.service; \
	fi
	rm -f $(DESTDIR)$(BINDIR)/tokend
	rm -f $(DESTDIR)$(UNITDIR)/tokend.service $(DESTDIR)$(UNITDIR)/tokend.socket
	rm -f $(DESTDIR)$(LIBDIR)/sysusers.d/tokend.conf $(DESTDIR)$(LIBDIR)/tmpfiles.d/tokend.conf
	rm -f $(DESTDIR)$(BASHDIR)/tokend $(DESTDIR)$(ZSHDIR)/_tokend $(DESTDIR)$(FISHDIR)/tokend.fish
	rm -f $(DESTDIR)$(MANDIR)/man8/tokend.8
	rm -f $(addprefix $(DESTDIR)$(DOCDIR)/,$(notdir $(EXAMPLES)) $(PAGES))
	rm -f $(addprefix $(DESTDIR)$(CLIENTDIR)/,$(CLIENTS))
	@for dir in $(addprefix $(DESTDIR)$(DOCDIR),/docs/zh /docs /) $(addprefix $(DESTDIR)$(CLIENTDIR),/php/EasyWeChat /php/Laravel /php/examples /php /csharp /); do \
		test ! -d $$dir || rmdir --ignore-fail-on-non-empty $$dir; \
	done
	@if test -z "$(DESTDIR)" && test -d /run/systemd/system; then systemctl daemon-reload; fi

clean: ## remove bin and dist
	rm -rf bin dist
