//go:build linux

package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Rig is one run of a program that measures.
type Rig struct {
	Quick bool
	Dir   string // holds sockets, states and logs; the program removes it at the end
	Calm  Calm
	Rows  Rows

	Tokend, Fill     string // programs
	Redis, Memcached string // the same, see FindCaches; empty for what is not installed
}

// Build builds tokend and benchmarks/fill.
func (r *Rig) Build(ctx context.Context) error {
	for program, pkg := range map[*string]string{&r.Tokend: "./cmd/tokend", &r.Fill: "./benchmarks/fill"} {
		*program = r.Path(filepath.Base(pkg))
		// Without cgo, as make build does it.
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", *program, pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", pkg, err, out)
		}
	}
	return nil
}

// Path returns a path for a file of this run.
func (r *Rig) Path(name string) string { return filepath.Join(r.Dir, name) }

// Pick returns one of two numbers, turns or seconds: the first for a whole run, the second for a
// quick one.
func Pick[T any](r *Rig, whole, quick T) T {
	if r.Quick {
		return quick
	}
	return whole
}
