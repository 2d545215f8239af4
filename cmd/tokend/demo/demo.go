package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// Config configures a demonstration.
type Config struct {
	// Program is the path of tokend, which is run as "tokend serve --config FILE".
	Program string

	// Chinese selects Chinese output; otherwise it is English.
	Chinese bool

	// Out receives the output.
	Out io.Writer
}

// limit is the time limit of the demonstration, which takes about twelve seconds.
const limit = 90 * time.Second

// demo is one running demonstration.
type demo struct {
	cfg Config
	printer
	clients
	began time.Time
	dir   string // removed at the end

	// The instances: one with tokens that live two hours, one with customers, and one with tokens
	// that live seconds. Each is nil until its first step. The last instance makes calls all the
	// time, so it comes last: before it, the calls of a step are known exactly.
	long, customers, short *instance
}

// instances returns the existing instances.
func (d *demo) instances() []*instance {
	return slices.DeleteFunc([]*instance{d.long, d.customers, d.short}, func(s *instance) bool { return s == nil })
}

// Run runs the demonstration and returns an error unless all checks passed. When Run returns, all
// its processes have ended and its files are removed.
func Run(ctx context.Context, cfg Config) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errTooLong)
	defer cancel()
	d := &demo{cfg: cfg, printer: printer{w: cfg.Out, chinese: cfg.Chinese}, began: time.Now()}
	if d.dir, err = tempDir(); err != nil {
		return err
	}
	defer func() {
		for _, s := range d.instances() {
			s.leave()
		}
		err = errors.Join(err, os.RemoveAll(d.dir))
	}()
	if err := d.steps(ctx); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("not finished: %w", context.Cause(ctx))
		}
		if !errors.Is(ctx.Err(), context.Canceled) { // not after an interruption
			d.tail()
		}
		return err
	}
	if d.failed > 0 {
		d.tail()
		return fmt.Errorf("%d of %d checks failed: see the lines that begin with NO", d.failed, d.checked)
	}
	return nil
}

// steps runs all steps in order.
func (d *demo) steps(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		d.open,
		d.firstReads,
		d.cachedReads,
		d.rejected,
		d.wrongSecret,
		d.killed,
		d.installed,
		d.killedAuthorizing,
		d.corpsInstall,
		d.revoked,
		d.lifetimes,
		d.outage,
		d.recovery,
		d.stopped,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	d.sum()
	return nil
}

// tail prints the end of the daemons' logs.
func (d *demo) tail() {
	for _, s := range d.instances() {
		for _, line := range s.logTail(20) {
			fmt.Fprintln(d.w, "   log:", line)
		}
	}
}

// calls returns the number of calls that WeChat has received.
func (d *demo) calls() int {
	n := 0
	for _, s := range d.instances() {
		n += s.wechat.Total()
	}
	return n
}
