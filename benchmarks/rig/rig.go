//go:build linux

package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Rig is one run of a measuring program.
type Rig struct {
	Quick bool
	Dir   string // for sockets, states and logs; the program removes it at the end
	Calm  Calm
	Rows  Rows

	Tokend, Fill     string // programs
	Redis, Memcached string // programs; empty if not installed, see FindCaches
}

// Build builds tokend and benchmarks/fill.
func (r *Rig) Build(ctx context.Context) error {
	for program, pkg := range map[*string]string{&r.Tokend: "./cmd/tokend", &r.Fill: "./benchmarks/fill"} {
		*program = r.Path(filepath.Base(pkg))
		// Without cgo, as in make build.
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", *program, pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", pkg, err, out)
		}
	}
	return nil
}

// Path returns the path of a file of this run.
func (r *Rig) Path(name string) string { return filepath.Join(r.Dir, name) }

// Pick returns whole, or quick in a quick run.
func Pick[T any](r *Rig, whole, quick T) T {
	if r.Quick {
		return quick
	}
	return whole
}
