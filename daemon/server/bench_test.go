package server

import (
	"io"
	"net"
	"runtime"
	"strings"
	"testing"

	"tokend/daemon/access"
	"tokend/daemon/clock"
	"tokend/daemon/credential"
	"tokend/fetchers/secret"
)

// staticEngine answers every GET with one value, at no cost: what is measured is the
// server.
type staticEngine struct {
	Engine
	value credential.Value
}

func (e staticEngine) Now() clock.Instant { return 1 }

func (e staticEngine) Cached([]byte, clock.Instant) (credential.Value, bool) { return e.value, true }

func (e staticEngine) CachedAll(names [][]byte, now clock.Instant, values []credential.Value) {
	cachedEach(e, names, now, values)
}

// newStaticEngine's value has the 512 bytes that WeChat asks callers to make room for.
func newStaticEngine() staticEngine {
	return staticEngine{value: credential.Value{Text: secret.Text(strings.Repeat("v", 512)), TTL: 7000 * 1e9, Readers: new(credential.Readers)}}
}

// onlyToken has a value for token alone.
type onlyToken struct{ staticEngine }

func (e onlyToken) Cached(name []byte, _ clock.Instant) (credential.Value, bool) {
	return e.value, string(name) == token
}

const benchRequest = "GET " + token + "\n"

func benchRules() []access.Rule {
	return []access.Rule{
		{GIDs: []uint32{33}, Names: []string{"work/*/jsapi_ticket", "mini_program/*", "official_account/*"}, Verbs: []string{"GET"}},
	}
}

// unslowed is a rate that nothing here comes near, so that what is measured is keeping count.
const unslowed = 1_000_000_000

func BenchmarkSessionGet(b *testing.B) {
	for _, bm := range []struct {
		name  string
		rules []access.Rule
		batch int
	}{{"1", nil, 1}, {"1 with rules", benchRules(), 1}, {"16", nil, 16}, {"16 with rules", benchRules(), 16}} {
		b.Run(bm.name, func(b *testing.B) {
			s := sessionOf(New(Config{Engine: newStaticEngine(), Rules: bm.rules, Limits: Limits{UserRate: unslowed}}), access.Peer{UID: guest, GID: 33})
			in := []byte(strings.Repeat(benchRequest, bm.batch))
			b.ReportAllocs()
			for b.Loop() {
				s.out = s.out[:0]
				if n, next := s.step(in); n != len(in) || next != more {
					b.Fatal(n, next)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*bm.batch), "ns/request")
		})
	}
}

func BenchmarkPipe(b *testing.B) {
	for _, batch := range []int{1, 16} {
		b.Run(sizeName(batch), func(b *testing.B) {
			ours, theirs := net.Pipe()
			defer ours.Close()
			s := New(Config{Engine: newStaticEngine(), peer: func(net.Conn) (access.Peer, error) { return access.Peer{}, nil }})
			go s.handle(b.Context(), newConn(s, theirs, access.Peer{}, s.users.get(0)), &conns{})
			benchmarkConn(b, ours, batch)
		})
	}
}

func BenchmarkSocket(b *testing.B) {
	for _, batch := range []int{1, 16} {
		b.Run(sizeName(batch), func(b *testing.B) {
			nc, err := net.Dial("unix", benchSocket(b))
			if err != nil {
				b.Fatal(err)
			}
			defer nc.Close()
			benchmarkConn(b, nc, batch)
		})
	}
}

// BenchmarkSocketConnections has 50 clients that ask one thing at a time.
func BenchmarkSocketConnections(b *testing.B) {
	path := benchSocket(b)
	b.SetParallelism((50 + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
	b.RunParallel(func(pb *testing.PB) {
		nc, err := net.Dial("unix", path)
		if err != nil {
			b.Error(err)
			return
		}
		defer nc.Close()
		buf := make([]byte, 4096)
		for pb.Next() {
			io.WriteString(nc, benchRequest)
			if _, err := nc.Read(buf); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkSocketConnect connects, asks and closes, as PHP does.
func BenchmarkSocketConnect(b *testing.B) {
	path := benchSocket(b)
	buf := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		nc, err := net.Dial("unix", path)
		if err != nil {
			b.Fatal(err)
		}
		io.WriteString(nc, benchRequest)
		if _, err := nc.Read(buf); err != nil {
			b.Fatal(err)
		}
		nc.Close()
	}
}

func benchSocket(b *testing.B) string {
	path, s, _ := byLoop.startSocket(b, Config{})
	s.cfg.Engine = newStaticEngine() // before the first connection
	return path
}

func sizeName(batch int) string {
	if batch == 1 {
		return "one at a time"
	}
	return "pipeline of 16"
}

func benchmarkConn(b *testing.B, nc net.Conn, batch int) {
	request := []byte(strings.Repeat(benchRequest, batch))
	reply := make([]byte, len("OK 7000 \n")+512)
	replies := make([]byte, batch*len(reply))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := nc.Write(request); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(nc, replies); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/request")
}
