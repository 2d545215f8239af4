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

// imports imports a platform's customers. There are more customers than a run can import, so all
// are new.
func (l *load) imports(ctx context.Context) error {
	return l.beside(ctx, "import", "an import of customers", world{customers: 10_000, listed: 200_000}, counted(0, importer()))
}

// importer returns a function that imports the next page of a daemon's customers.
func importer() func(ctx context.Context, d daemon) error {
	next := map[string]int{} // by socket
	return func(ctx context.Context, d daemon) error {
		line, err := ask(ctx, d, fmt.Sprintf("IMPORT %s %d\n", platformOf(d), next[d.Socket]), false)
		if err != nil {
			return err
		}
		fields := strings.Fields(line)
		if len(fields) != 4 {
			return fmt.Errorf("IMPORT: got %q", line)
		}
		next[d.Socket] = 0 // after the last page, whose next is "-"
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

// put makes 64 connections write grants as fast as tokend answers.
func (l *load) put(ctx context.Context) error {
	return l.beside(ctx, "put", "64 connections that PUT at full speed", world{customers: 10_000}, writer(100_000))
}

// writer returns a disturbance that repeatedly sends n writes.
func writer(n int) disturbance {
	var r *generator.Requests
	return func(ctx context.Context, d daemon) (int, error) {
		if r == nil { // first call only
			r = writes(d, n)
		}
		return generate(ctx, d, generator.Plan{Requests: r, InTurn: true, Connections: writers})
	}
}

// writers is the number of connections that write.
const writers = 64

// writes returns n PUTs of n/10 names. Two consecutive writes to a name have different values.
func writes(d daemon, n int) *generator.Requests {
	var r generator.Requests
	for i := range n {
		name := fmt.Sprintf("%s/wxwriter%06d/refresh_token", platformOf(d), i%(n/10))
		r.Add(func(b []byte) []byte {
			return generator.Tokend.AppendSet(b, name, fmt.Sprintf("refreshtoken@@@%030d-%06d", 0, i))
		})
	}
	return &r
}

// connectRate is the number of clients per second that connect for one read each.
const connectRate = 5000

// connect makes clients connect for one read each.
func (l *load) connect(ctx context.Context) error {
	return l.beside(ctx, "connect", fmt.Sprintf("%d connections a second for one read each", connectRate), world{customers: 10_000}, connector)
}

func connector(ctx context.Context, d daemon) (int, error) {
	var r generator.Requests
	r.Add(func(b []byte) []byte { return generator.Tokend.AppendGet(b, d.state.First) })
	return generate(ctx, d, generator.Plan{Requests: &r, Connections: 50, Reconnect: true, Rate: connectRate})
}

// generate runs a plan until ctx ends.
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
