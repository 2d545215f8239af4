//go:build !linux

package main

import (
	"context"
	"net"

	"github.com/hashicorp/go-hclog"
)

// inherited returns no listening socket: there is no systemd.
func inherited() ([]net.Listener, error) { return nil, nil }

// manager does nothing: there is no systemd.
type manager struct{ log hclog.Logger }

func (manager) ready(string) {}

func (manager) stopping() {}

func (manager) reloading() {}

func (manager) watch(context.Context, string) {}
