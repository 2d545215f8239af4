package main

import (
	"context"
	"os"
)

// serve runs WeChat until ctx ends. Signals make it unreachable and reachable: calls during that
// time are answered afterwards.
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
