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

// Config says how to show it.
type Config struct {
	// Program is the path of tokend, which is run as "tokend serve --config FILE".
	Program string

	// Chinese has it told in Chinese; otherwise it is told in English.
	Chinese bool

	// Out is where it is told.
	Out io.Writer
}

// limit is how long the whole may take before something must be wrong. It takes about
// twelve seconds.
const limit = 90 * time.Second

// demo is one demonstration under way.
type demo struct {
	cfg Config
	teller
	audience
	began time.Time
	dir   string // removed at the end

	// The stages: one with tokens that live two hours, one with customers, and one with tokens
	// that live seconds. Each is nil until its first step. The last makes calls all the
	// time, so it comes last: before it, what a step costs is known to the call.
	long, customers, short *stage
}

// stages returns those that there are.
func (d *demo) stages() []*stage {
	return slices.DeleteFunc([]*stage{d.long, d.customers, d.short}, func(s *stage) bool { return s == nil })
}

// Run shows it, and returns an error unless everything was as it should be. When it returns,
// nothing it has started is running, and what it has written is removed.
func Run(ctx context.Context, cfg Config) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errTooLong)
	defer cancel()
	d := &demo{cfg: cfg, teller: teller{w: cfg.Out, chinese: cfg.Chinese}, began: time.Now()}
	if d.dir, err = tempDir(); err != nil {
		return err
	}
	defer func() {
		for _, s := range d.stages() {
			s.leave()
		}
		err = errors.Join(err, os.RemoveAll(d.dir))
	}()
	if err := d.steps(ctx); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("not finished: %w", context.Cause(ctx))
		}
		if !errors.Is(ctx.Err(), context.Canceled) { // somebody has had enough of it
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

// steps are what is shown, in order.
func (d *demo) steps(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		d.open,
		d.everybodyAtOnce,
		d.everybodyReads,
		d.rejected,
		d.wrongSecret,
		d.killed,
		d.installed,
		d.killedMeanwhile,
		d.corpsInstall,
		d.revoked,
		d.timePasses,
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

// tail shows the end of the daemons' logs.
func (d *demo) tail() {
	for _, s := range d.stages() {
		for _, line := range s.logTail(20) {
			fmt.Fprintln(d.w, "   log:", line)
		}
	}
}

// calls returns how many calls WeChat has had so far.
func (d *demo) calls() int {
	n := 0
	for _, s := range d.stages() {
		n += s.wechat.Total()
	}
	return n
}
