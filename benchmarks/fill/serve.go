package main

import (
	"context"
	"os"
)

// serve is WeChat until ctx ends. A signal may say that it is away: calls are taken then, and not
// answered before it is back.
func (w *world) serve(ctx context.Context, signals <-chan os.Signal) {
	for {
		select {
		case s := <-signals:
			w.meter.setAway(isAway(s))
		case <-ctx.Done():
			return
		}
	}
}
