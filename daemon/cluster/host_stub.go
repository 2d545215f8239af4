package cluster

import (
	"context"
	"time"

	"tokend/daemon/clock"
)

type members struct{}

func (*members) alive(string, int64) bool { return true }
func (*members) hosts() []string          { return nil }

type clocks struct{}

func (*clocks) Offset(string) (low, high time.Duration, ok bool) { return 0, 0, false }

type heartbeats struct{}

func (*heartbeats) run(context.Context) error { return nil }
func (*heartbeats) contact() clock.Instant    { return 0 }

type mirror struct{}

func (*mirror) run(context.Context) error { return nil }
