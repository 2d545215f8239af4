package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	sd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"tokend/clientlib"
)

// inherited returns the listening sockets from systemd, if any.
func inherited() ([]net.Listener, error) {
	listeners, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("sockets from systemd: %w", err)
	}
	for _, ln := range listeners {
		if _, ok := ln.(*net.UnixListener); !ok {
			return nil, errors.New("sockets from systemd: one is not a Unix stream socket: the .socket unit must have ListenStream= with a path only")
		}
	}
	return listeners, nil
}

// manager reports the service's state to systemd. Outside of systemd it does nothing.
type manager struct{ log hclog.Logger }

func (m manager) tell(lines string) {
	if _, err := sd.SdNotify(false, lines); err != nil {
		m.log.Warn("cannot notify systemd", "error", err)
	}
}

func (m manager) ready(text string) { m.tell(sd.SdNotifyReady + "\nSTATUS=" + text) }

func (m manager) stopping() { m.tell(sd.SdNotifyStopping + "\nSTATUS=stopping") }

// reloading reports the start of a reload; ready reports its end. Type=notify-reload (systemd 253)
// needs the time.
func (m manager) reloading() {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail for this clock
	m.tell(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", sd.SdNotifyReloading, ts.Nano()/1000))
}

// watch answers systemd's watchdog (WatchdogSec=) until ctx is done. It answers only if the socket
// at path responds, so that systemd restarts a daemon that does not respond.
func (m manager) watch(ctx context.Context, path string) {
	within, err := sd.SdWatchdogEnabled(false)
	if err != nil {
		m.log.Warn("watchdog", "error", err)
	}
	if within <= 0 {
		return
	}
	c := &clientlib.Client{Socket: path, Timeout: within / 4, MaxIdleConns: -1}
	tick := time.NewTicker(within / 3) // two pings within the limit
	defer tick.Stop()
	for {
		err := c.Ping(ctx)
		if _, refused := errors.AsType[*clientlib.Error](err); err == nil || refused {
			m.tell(sd.SdNotifyWatchdog)
		} else if ctx.Err() == nil {
			m.log.Error("the socket does not answer", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
