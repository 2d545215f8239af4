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
	// Program is the path of tokend, which is run as "tokend serve --config FILE". A demonstration
	// of several hosts does not use it.
	Program string

	// Hosts is how many hosts serve the same accounts, from [MinHosts] to [MaxHosts]. Zero is the
	// demonstration of a single host.
	Hosts int

	// Chinese selects Chinese output; otherwise it is English.
	Chinese bool

	// Out receives the output.
	Out io.Writer
}

// limit is the time limit of a demonstration. One of a single host takes about twelve seconds, one
// of several hosts about twenty.
const limit = 90 * time.Second

// stage is what every demonstration has.
type stage struct {
	printer
	clients
	began time.Time
	dir   string     // removed at the end
	calls func() int // how many calls WeChat has received
}

// play is a demonstration.
type play interface {
	// steps returns all steps in order.
	steps() []func(context.Context) error

	// logTails returns the last n lines of each log.
	logTails(n int) []string

	// leave ends everything that runs.
	leave()
}

// Run runs the demonstration and returns an error unless all checks passed. When Run returns, all
// that it started has ended and its files are removed.
func Run(ctx context.Context, cfg Config) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errTooLong)
	defer cancel()
	dir, err := tempDir()
	if err != nil {
		return err
	}
	s := stage{printer: printer{w: uninterrupted{ctx, cfg.Out}, chinese: cfg.Chinese}, began: time.Now(), dir: dir}
	var p play
	if cfg.Hosts > 0 {
		p = newSeveral(&s, cfg.Hosts)
	} else {
		p = newDemo(&s, cfg.Program)
	}
	defer func() {
		p.leave()
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	return s.perform(ctx, p)
}

// perform runs all steps of p.
func (s *stage) perform(ctx context.Context, p play) error {
	for _, step := range p.steps() {
		if err := step(ctx); err != nil {
			if ctx.Err() != nil {
				err = fmt.Errorf("not finished: %w", context.Cause(ctx))
			}
			if !errors.Is(ctx.Err(), context.Canceled) { // not after an interruption
				s.tail(p)
			}
			return err
		}
	}
	if s.failed > 0 {
		s.tail(p)
		return fmt.Errorf("%d of %d checks failed: see the lines that begin with NO", s.failed, s.checked)
	}
	return nil
}

// tail prints the end of the logs.
func (s *stage) tail(p play) {
	for _, line := range p.logTails(20) {
		fmt.Fprintln(s.w, "   log:", line)
	}
}

// demo is the demonstration of a single host.
type demo struct {
	*stage
	program string

	// The instances: one with tokens that live two hours, one with customers, and one with tokens
	// that live seconds. Each is nil until its first step. The last instance makes calls all the
	// time, so it comes last: before it, the calls of a step are known exactly.
	long, customers, short *instance
}

func newDemo(s *stage, program string) *demo {
	d := &demo{stage: s, program: program}
	s.calls = d.total
	return d
}

// instances returns the existing instances.
func (d *demo) instances() []*instance {
	return slices.DeleteFunc([]*instance{d.long, d.customers, d.short}, func(s *instance) bool { return s == nil })
}

func (d *demo) steps() []func(context.Context) error {
	return []func(context.Context) error{
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
		d.sum,
	}
}

func (d *demo) logTails(n int) (lines []string) {
	for _, s := range d.instances() {
		lines = append(lines, tailOf(s.logFile(), n)...)
	}
	return lines
}

func (d *demo) leave() {
	for _, s := range d.instances() {
		s.leave()
	}
}

// total returns the number of calls that the WeChats have received.
func (d *demo) total() int {
	n := 0
	for _, s := range d.instances() {
		n += s.wechat.Total()
	}
	return n
}
