//go:build !linux

package main

import (
	"context"
	"net"

	"github.com/hashicorp/go-hclog"
)

// inherited returns no listening socket: there is no systemd that could hand one over.
func inherited() ([]net.Listener, error) { return nil, nil }

// manager tells nobody how the service is doing.
type manager struct{ log hclog.Logger }

func (manager) ready(string) {}

func (manager) stopping() {}

func (manager) reloading() {}

func (manager) watch(context.Context, string) {}
