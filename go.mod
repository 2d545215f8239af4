module tokend

go 1.26.0

// The patch release that builds releases (make release). Any Go from 1.26.0 on builds tokend.
toolchain go1.26.11

require (
	// sd_notify and socket activation, as systemd documents them: cmd/tokend.
	github.com/coreos/go-systemd/v22 v22.7.0
	// The store. 4.9.6 or later: earlier ones bring deleted keys back. Only daemon/store imports it.
	github.com/dgraph-io/badger/v4 v4.9.6
	// The log, text or JSON, with levels: daemon/.
	github.com/hashicorp/go-hclog v1.6.3
	// TOML with strict keys and positions, so that every mistake has its line: daemon/config.
	github.com/pelletier/go-toml/v2 v2.4.3
	// /metrics: what the runtime and the process show, and a check by others of what is written: daemon/metrics.
	// Without its promhttp, which would bring compression with it. common is its encoder.
	github.com/prometheus/client_golang v1.25.0
	github.com/prometheus/common v0.72.0
	// The command line: flags anywhere, completion, suggestions: cmd/tokend.
	github.com/spf13/cobra v1.10.2
	github.com/spf13/pflag v1.0.9 // cobra's flags, to translate their help
	// errgroup: goroutines that live and end together: daemon/.
	golang.org/x/sync v0.24.0
	// CLOCK_BOOTTIME, SO_PEERCRED, statfs, prctl: what package syscall lacks.
	golang.org/x/sys v0.49.0
)

// Tests only.
require (
	github.com/google/go-cmp v0.7.0
	// The terminal sessions of cmd/tokend/testdata.
	github.com/rogpeppe/go-internal v1.16.0
)

// Not imported: a newer one than Badger asks for makes the binary 2 MB smaller.
require google.golang.org/protobuf v1.36.12 // indirect

require (
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/dgraph-io/ristretto/v2 v2.2.0 // indirect
	github.com/dustin/go-humanize v1.0.1 // indirect
	github.com/fatih/color v1.13.0 // indirect
	github.com/go-logr/logr v1.4.3 // indirect
	github.com/go-logr/stdr v1.2.2 // indirect
	github.com/google/flatbuffers v25.2.10+incompatible // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/klauspost/compress v1.20.1 // indirect
	github.com/mattn/go-colorable v0.1.12 // indirect
	github.com/mattn/go-isatty v0.0.14 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/prometheus/client_model v0.6.3 // indirect
	github.com/prometheus/procfs v0.22.0 // indirect
	go.opentelemetry.io/auto/sdk v1.2.1 // indirect
	go.opentelemetry.io/otel v1.41.0 // indirect
	go.opentelemetry.io/otel/metric v1.41.0 // indirect
	go.opentelemetry.io/otel/trace v1.41.0 // indirect
	golang.org/x/tools v0.26.0 // indirect
)
