//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tokend/benchmarks/generator"
)

// imports brings in a platform's customers. Those are new: there are more than a run gets to.
func (l *load) imports(ctx context.Context) error {
	return l.beside(ctx, "import", "an import of customers", world{customers: 10_000, listed: 200_000}, counted(0, importer()))
}

// importer returns what imports the next page of a daemon's customers.
func importer() func(ctx context.Context, d daemon) error {
	next := map[string]int{} // by socket
	return func(ctx context.Context, d daemon) error {
		line, err := ask(ctx, d, fmt.Sprintf("IMPORT %s %d\n", platformOf(d), next[d.Socket]), false)
		if err != nil {
			return err
		}
		fields := strings.Fields(line)
		if len(fields) != 4 {
			return fmt.Errorf("IMPORT was answered %q", line)
		}
		next[d.Socket] = 0 // after the last page, where the next is "-"
		if fields[3] != "-" {
			next[d.Socket], err = strconv.Atoi(fields[3])
		}
		return err
	}
}

// platformOf returns the platform of d's world.
func platformOf(d daemon) string {
	rest := strings.TrimSuffix(d.state.First, "/access_token")
	return rest[:strings.LastIndex(rest, "/")]
}

// put has 64 connections write grants as fast as they are answered.
func (l *load) put(ctx context.Context) error {
	return l.beside(ctx, "put", "64 connections that PUT at full speed", world{customers: 10_000}, writer(100_000))
}

// writer returns the disturbance that writes n values under a tenth as many names, and again. No
// value is that of the write before it under the same name.
func writer(n int) disturbance {
	var r generator.Requests
	return func(ctx context.Context, d daemon) (int, error) {
		for i := r.Len(); i < n; i++ { // the first time
			name := fmt.Sprintf("%s/wxwriter%06d/refresh_token", platformOf(d), i%(n/10))
			r.Add(func(b []byte) []byte {
				return generator.Tokend.AppendSet(b, name, fmt.Sprintf("refreshtoken@@@%030d-%06d", 0, i))
			})
		}
		return generate(ctx, d, generator.Plan{Requests: &r, InTurn: true, Connections: 64})
	}
}

// connectRate is how many clients connect in a second, for one read each.
const connectRate = 5000

// connect has clients connect for one read.
func (l *load) connect(ctx context.Context) error {
	return l.beside(ctx, "connect", fmt.Sprintf("%d connections a second for one read each", connectRate), world{customers: 10_000}, connector)
}

func connector(ctx context.Context, d daemon) (int, error) {
	var r generator.Requests
	r.Add(func(b []byte) []byte { return generator.Tokend.AppendGet(b, d.state.First) })
	return generate(ctx, d, generator.Plan{Requests: &r, Connections: 50, Reconnect: true, Rate: connectRate})
}

// generate carries out a plan until ctx ends.
func generate(ctx context.Context, d daemon, p generator.Plan) (int, error) {
	p.Socket, p.Dialect, p.Gentle, p.Duration = d.Socket, generator.Tokend, true, time.Hour
	result, err := generator.Run(ctx, p)
	if err != nil {
		return 0, err
	}
	if n := result.Failed() - result.Unsent; n > 0 && len(result.Refused) > 0 {
		return 0, errors.New(fmt.Sprint(result.Refused))
	}
	return int(result.Replies), nil
}
