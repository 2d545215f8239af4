//go:build linux

package main

import (
	"context"
	"fmt"
	"os/exec"

	"tokend/benchmarks/rig"
)

// build builds tokend, the echo and the load, and finds Redis and memcached.
func (c *comparison) build(ctx context.Context) error {
	if err := c.Build(ctx); err != nil {
		return err
	}
	c.FindCaches()
	if c.Redis == "" {
		fmt.Fprintln(c.stderr, "compare: rows against Redis are missing:", rig.ErrNoRedis)
	}
	if c.Memcached == "" {
		fmt.Fprintln(c.stderr, "compare: rows with memcached are missing:", rig.ErrNoMemcached)
	}
	cc, err := exec.LookPath("cc")
	if err != nil {
		fmt.Fprintln(c.stderr, "compare: cc is not installed: rows against the echo are missing (Debian: apt install gcc libc6-dev)")
		return nil
	}
	echo := c.Path("echo")
	if out, err := exec.CommandContext(ctx, cc, "-O2", "-o", echo, "benchmarks/echo.c").CombinedOutput(); err != nil {
		fmt.Fprintf(c.stderr, "compare: the echo does not compile: rows against it are missing\n%s", out)
		return nil
	}
	c.echo = echo
	return nil
}
