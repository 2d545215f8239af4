package generator

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var (
	// ErrTimeout is that nothing came for [Plan].Timeout while something was awaited.
	ErrTimeout = errors.New("generator: no answer")

	// ErrConnect is that a connection could not be made; it wraps the reason.
	ErrConnect = errors.New("generator: cannot connect")

	// ErrForeign is a reply that is none in the plan's dialect.
	ErrForeign = errors.New("generator: what answers does not speak the language of")
)

// Run carries out a plan. When it returns, nothing that it started is running and all connections
// are closed. Refusals are no error of Run's: they are counted. Cancelling ctx ends the run early,
// with what it has shown so far.
func Run(ctx context.Context, p Plan) (*Result, error) {
	if err := p.Check(); err != nil {
		return nil, fmt.Errorf("generator: %w", err)
	}
	if p.Portable || !haveLoop {
		return runPortable(ctx, p)
	}
	return runLoops(ctx, p)
}

// pace says when requests are due. It is for one goroutine.
type pace struct {
	every time.Duration // 0: as soon as the connection is free
	due   time.Duration // the next one
	rest  float64       // what the division of a second leaves, in nanoseconds
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

// advance returns when the next request is due, and goes on to the one after it.
func (p *pace) advance() time.Duration {
	due := p.due
	p.carry += p.rest
	whole := time.Duration(p.carry)
	p.carry -= float64(whole)
	p.due += p.every + whole
	return due
}
