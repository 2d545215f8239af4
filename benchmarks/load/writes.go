//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tokend/benchmarks/generator"
)

// imports brings in a platform's customers, page after page. Those are new: there are more than a
// run gets to.
func (l *load) imports(ctx context.Context) error {
	next := map[string]int{} // by socket
	return l.beside(ctx, "import", "an import of customers", world{customers: 10_000, listed: 200_000},
		counted(0, func(ctx context.Context, d daemon) error {
			line, err := ask(ctx, d, fmt.Sprintf("IMPORT %s %d\n", platformOf(d), next[d.Socket]), false)
			if err != nil {
				return err
			}
			var total, kept int
			to := 0
			if _, err := fmt.Sscanf(line, "OK %d %d %d", &total, &kept, &to); err != nil {
				return fmt.Errorf("IMPORT was answered %q: %w", line, err)
			}
			next[d.Socket] = to
			return nil
		}))
}

// platformOf returns the platform of d's world.
func platformOf(d daemon) string {
	rest := strings.TrimSuffix(d.state.First, "/access_token")
	return rest[:strings.LastIndex(rest, "/")]
}

// put has 64 connections write grants as fast as they are answered. No value is that of the write
// before it under the same name.
func (l *load) put(ctx context.Context) error {
	var r generator.Requests
	return l.beside(ctx, "put", "64 connections that PUT at full speed", world{customers: 10_000},
		func(ctx context.Context, d daemon) (int, error) {
			for i := r.Len(); i < 100_000; i++ { // the first time
				name := fmt.Sprintf("%s/wxwriter%06d/refresh_token", platformOf(d), i%10_000)
				r.Add(func(b []byte) []byte {
					return generator.Tokend.AppendSet(b, name, fmt.Sprintf("refreshtoken@@@%030d-%06d", 0, i))
				})
			}
			return generate(ctx, d, generator.Plan{Requests: &r, InTurn: true, Connections: 64})
		})
}

// connectRate is how many clients connect in a second, for one read each.
const connectRate = 5000

// connect has clients connect for one read.
func (l *load) connect(ctx context.Context) error {
	return l.beside(ctx, "connect", fmt.Sprintf("%d connections a second for one read each", connectRate), world{customers: 10_000},
		func(ctx context.Context, d daemon) (int, error) {
			var r generator.Requests
			r.Add(func(b []byte) []byte { return generator.Tokend.AppendGet(b, d.state.First) })
			return generate(ctx, d, generator.Plan{Requests: &r, Connections: 50, Reconnect: true, Rate: connectRate})
		})
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
