package refresh

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
)

// outlast returns what do returns, or ctx's error as soon as ctx has ended: once a commit has
// begun, a disk that hangs keeps its result for as long as it likes, and no caller has to wait for
// that. do goes on then, what it changes is changed, and the engine's end waits for it.
func (e *Engine) outlast(ctx context.Context, do func() error) error {
	ended := make(chan error, 1)
	e.life.Lock()
	if e.stopped {
		e.life.Unlock()
		return stopping()
	}
	e.flights.Go(func() { ended <- e.faultless(do) })
	e.life.Unlock()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-ended: // both have come at once
		return err
	default:
		return ctx.Err()
	}
}

// faultless returns what do returns. A fault of do is logged, and an error.
func (e *Engine) faultless(do func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			e.log.Error("a submitted value was not stored because of a fault in tokend", "panic", fmt.Sprintf("%T", r), "stack", string(debug.Stack()))
			err = &faultError{errors.New("a fault in tokend")}
		}
	}()
	return do()
}
