package main

import (
	"context"
	"os"
	"time"

	"tokend/fetchers/wechattest"
)

// serve is WeChat until ctx ends. A signal may say that it is away: calls are taken then, and not answered.
func (w *world) serve(ctx context.Context, o *options, signals <-chan os.Signal) {
	for {
		select {
		case s := <-signals:
			w.behave(o, isAway(s))
		case <-ctx.Done():
			return
		}
	}
}

// patience is longer than any caller has.
const patience = 24 * time.Hour

// behave has WeChat answer as o wants, or not at all.
func (w *world) behave(o *options, gone bool) {
	w.wechat.ClearFaults()
	switch {
	case gone:
		w.wechat.Inject(wechattest.Fault{Delay: patience}) // a caller that has left by then is not served any more
	case o.latency > 0:
		w.wechat.Inject(wechattest.Fault{Delay: o.latency})
	}
}
