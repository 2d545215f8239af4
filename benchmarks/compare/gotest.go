//go:build linux

package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"

	"tokend/benchmarks/rig"
)

// goBench runs Go benchmarks on both processors and returns their output.
func goBench(ctx context.Context, pattern, times string, packages ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-run", "^$", "-bench", pattern, "-benchtime", times, "-benchmem"}, packages...)...)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := rig.Affinity(rig.ServerCore, rig.LoadCore); err != nil {
		return "", err
	}
	defer func() { _ = rig.Affinity(rig.LoadCore) }()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go test -bench %s: %w\n%s", pattern, err, out)
	}
	return string(out), nil
}

// reported returns the largest figure with that unit in the output of benchmarks.
func reported(out, unit string) (largest float64, err error) {
	found := regexp.MustCompile(`([0-9.]+) `+regexp.QuoteMeta(unit)+`\b`).FindAllStringSubmatch(out, -1)
	if len(found) == 0 {
		return 0, fmt.Errorf("no %s in\n%s", unit, out)
	}
	for _, m := range found {
		f, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return 0, err
		}
		largest = max(largest, f)
	}
	return largest, nil
}

// disk measures the disk space after twenty rewrites of 100 000 records.
func (c *comparison) disk(ctx context.Context) error {
	out, err := goBench(ctx, "^BenchmarkRewrite$", "1x", "./daemon/store")
	if err != nil {
		return err
	}
	open, err := reported(out, "open/live")
	if err != nil {
		return err
	}
	closed, err := reported(out, "closed/live")
	if err != nil {
		return err
	}
	c.Rows.AtMost("disk after 20 rewrites of 100 000", open, 2.0, 1.3, "x", fmt.Sprintf("of the live bytes, while open; %.2fx once closed", closed))
	return nil
}

// allocations measures the allocations of a hit, from the request's bytes to the reply's.
func (c *comparison) allocations(ctx context.Context) error {
	session, err := goBench(ctx, "^BenchmarkSessionGet$", "20000x", "./daemon/server")
	if err != nil {
		return err
	}
	engine, err := goBench(ctx, "^BenchmarkCached$", "20000x", "./daemon/refresh")
	if err != nil {
		return err
	}
	most, err := reported(session+engine, "allocs/op")
	if err != nil {
		return err
	}
	c.Rows.AtMost("allocations of a hit", most, 0, 0, "", "session and engine, with and without rules")
	return nil
}
