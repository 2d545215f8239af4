package generator

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var (
	// ErrTimeout means that no reply arrived within [Plan].Timeout.
	ErrTimeout = errors.New("generator: no answer")

	// ErrConnect means that a connection failed; it wraps the reason.
	ErrConnect = errors.New("generator: cannot connect")

	// ErrForeign means that a reply does not belong to the plan's dialect.
	ErrForeign = errors.New("generator: the server does not speak the protocol of")
)

// Run executes a plan. When it returns, nothing that it started is running and all connections are
// closed. Error replies are counted and are not an error of Run. Canceling ctx ends the run early,
// with the results so far.
func Run(ctx context.Context, p Plan) (*Result, error) {
	if err := p.Check(); err != nil {
		return nil, fmt.Errorf("generator: %w", err)
	}
	if p.Portable || !haveLoop {
		return runPortable(ctx, p)
	}
	return runLoops(ctx, p)
}

// pace computes when requests are due. It is for one goroutine.
type pace struct {
	every time.Duration // 0: as soon as the connection is free
	due   time.Duration // the next one
	rest  float64       // remainder of the division of a second, in nanoseconds
	carry float64
}

func newPace(rate float64, start time.Duration) pace {
	if rate <= 0 {
		return pace{}
	}
	exact := float64(time.Second) / rate
	every := time.Duration(exact)
	return pace{every: every, due: start, rest: exact - float64(every)}
}

// advance returns when the next request is due and moves on to the one after it.
func (p *pace) advance() time.Duration {
	due := p.due
	p.carry += p.rest
	whole := time.Duration(p.carry)
	p.carry -= float64(whole)
	p.due += p.every + whole
	return due
}
