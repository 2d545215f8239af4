package server

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"tokend/daemon/access"
	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/daemon/refresh"
	"tokend/daemon/store/memstore"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// anyApp is a catalog in which every name is an app's token, of 512 bytes.
type anyApp struct{ refresh.Catalog }

func (a anyApp) Lookup(name string) (refresh.Spec, error) {
	return refresh.Spec{Name: name, Policy: policy.StableToken, Account: name, Owner: name, Fetcher: a}, nil
}

func (anyApp) Names() iter.Seq[string] { return func(func(string) bool) {} }
func (anyApp) Pushed() []string        { return nil }

func (anyApp) Fetch(context.Context, fetchers.Ask) (fetchers.Token, error) {
	return fetchers.Token{Value: secret.Text(strings.Repeat("v", 512)), ExpiresIn: 2 * time.Hour}, nil
}

// BenchmarkSessionGetOfMany asks the engine itself for one of 10 000 credentials after the other,
// at random: what is measured is mostly how many places in memory a request touches.
func BenchmarkSessionGetOfMany(b *testing.B) {
	engine, err := refresh.New(refresh.Config{Store: &memstore.Store{}, Catalog: anyApp{}})
	if err != nil {
		b.Fatal(err)
	}
	const n, batch = 10_000, 16
	for i := range n {
		if _, err := engine.Get(b.Context(), fmt.Sprintf("official_account/wx%016x/access_token", i)); err != nil {
			b.Fatal(err)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	in := make([][]byte, 4096)
	for i := range in {
		for range batch {
			in[i] = fmt.Appendf(in[i], "GET official_account/wx%016x/access_token\n", random.IntN(n))
		}
	}
	s := sessionOf(New(Config{Engine: onlyReads{of: engine}, Limits: Limits{UserRate: unslowed}}), access.Peer{UID: guest, GID: 33})
	for _, in := range in {
		s.out = s.out[:0]
		s.step(in)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		s.out = s.out[:0]
		if got, next := s.step(in[i%len(in)]); got != len(in[0]) || next != more {
			b.Fatal(got, next)
		}
		i++
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/request")
}

// onlyReads is an Engine of which GET is a [refresh.Engine]'s.
type onlyReads struct {
	Engine
	of *refresh.Engine
}

func (e onlyReads) Now() clock.Instant { return e.of.Now() }

func (e onlyReads) Cached(name []byte, now clock.Instant) (credential.Value, bool) {
	return e.of.Cached(name, now)
}

func (e onlyReads) CachedAll(names [][]byte, now clock.Instant, values []credential.Value) {
	e.of.CachedAll(names, now, values)
}

func (e onlyReads) Get(ctx context.Context, name string) (credential.Value, error) {
	return e.of.Get(ctx, name)
}
