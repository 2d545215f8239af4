package server

import (
	"iter"
	"strings"
	"testing"

	"tokend/daemon/access"
	"tokend/daemon/credential"
	"tokend/daemon/refresh"
	"tokend/daemon/store/memstore"
	"tokend/daemon/throttle"
)

// BenchmarkSessionHit is BenchmarkSessionGet with the engine that tokend has: all that a hit costs
// but the system's calls, for a peer that no rule binds and for one of some rules, the last of
// which is for what it asks.
func BenchmarkSessionHit(b *testing.B) {
	rules := []access.Rule{
		{UIDs: []uint32{guest}, Names: []string{"work/*", "open_platform/*/jsapi_ticket"}, Verbs: []string{"GET", "REJECT"}},
		{UIDs: []uint32{guest}, Names: []string{"mini_program/*"}, Verbs: []string{"GET", "REJECT"}},
		{UIDs: []uint32{guest}, Names: []string{"official_account/*/access_token"}, Verbs: []string{"GET", "REJECT"}},
	}
	for _, guarded := range []bool{false, true} {
		for _, batch := range []int{1, 16} {
			name := sizeName(batch)
			cfg := Config{Limits: Limits{UserRate: unslowed}}
			if guarded {
				name, cfg.Rules = "rules/"+name, rules
			}
			b.Run(name, func(b *testing.B) {
				e, err := refresh.New(refresh.Config{Store: new(memstore.Store), Catalog: anyApp{}})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := e.Get(b.Context(), token); err != nil {
					b.Fatal(err)
				}
				cfg.Engine = engineOf{Engine: e}
				s := sessionOf(New(cfg), access.Peer{UID: guest})
				in := []byte(strings.Repeat(benchRequest, batch))
				b.ReportAllocs()
				for b.Loop() {
					s.out = s.out[:0]
					if n, next := s.step(in); n != len(in) || next != more {
						b.Fatal(n, next)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/request")
			})
		}
	}
}

// BenchmarkSessionReject is BenchmarkSessionHit for the REJECT of a value that has been replaced,
// and of a value that WeChat repeats.
func BenchmarkSessionReject(b *testing.B) {
	for name, rejected := range map[string]string{"replaced": strings.Repeat("u", 512), "repeated": strings.Repeat("v", 512)} {
		b.Run(name, func(b *testing.B) {
			e, err := refresh.New(refresh.Config{Store: new(memstore.Store), Catalog: anyApp{}})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := e.Get(b.Context(), token); err != nil {
				b.Fatal(err)
			}
			s := sessionOf(New(Config{Engine: engineOf{Engine: e}, Limits: Limits{UserRate: unslowed}}), access.Peer{UID: guest})
			for range 2 * actLines.burst { // what the audit says of it, and WeChat once
				drive(b, s, []byte("REJECT "+token+" "+rejected+"\n"))
			}
			in := []byte("REJECT " + token + " " + rejected + "\n")
			jobs := 0
			b.ReportAllocs()
			for b.Loop() {
				s.out = s.out[:0]
				if n, next := s.step(in); n != len(in) {
					b.Fatal(n, next)
				} else if next == wait { // once a second, for the audit; for what is repeated once a minute
					jobs++
					s.takeJob()
					s.release()
				}
			}
			b.ReportMetric(float64(jobs)/float64(b.N), "jobs/op")
		})
	}
}

// engineOf makes an engine this package's: what it hands out to watchers is of its own type.
type engineOf struct{ *refresh.Engine }

func (e engineOf) Watch(work *throttle.Work, prefix string, may func(string) bool) (int, iter.Seq[credential.Listing], Watch) {
	return e.Engine.Watch(work, prefix, may)
}

func (e engineOf) Subscribe(prefix string) Watch { return e.Engine.Subscribe(prefix) }
