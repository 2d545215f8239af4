package server

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/access"
	"tokend/fetchers/secret"
)

// TestRepliesKeepTheirOrder checks that each connection gets the replies to its requests, in order,
// and nothing else. Connections of several users, some of them slowed, send random requests in
// parts of random length, many at once. Fetches end at random times. Some connections close or
// half-close before the end.
func TestRepliesKeepTheirOrder(t *testing.T) {
	seeds := 60
	if testing.Short() {
		seeds = 10
	}
	for seed := range uint64(seeds) {
		synctest.Test(t, func(t *testing.T) {
			p := &peers{}
			var r *running
			playAtRandom(t, seed, stage{
				faster: 1,
				start: func(cfg Config) *fakeEngine {
					cfg.peer = p.of
					r = start(t, cfg)
					return r.engine
				},
				dialAs: func(uid uint32) *client { return r.dialAs(t, p, uid) },
			})
		})
		if t.Failed() {
			t.Fatalf("with seed %d", seed)
		}
	}
}

// The same on real sockets, where everything goes 200 times as fast.
func TestReplyOrderOnSocket(t *testing.T) {
	overBoth(t, func(t *testing.T, d driver) {
		for seed := range uint64(size(10, 500)) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				p := &turning{}
				var path string
				playAtRandom(t, seed, stage{
					faster: 200,
					start: func(cfg Config) (engine *fakeEngine) {
						cfg.peer = p.of
						path, _, engine = d.startSocket(t, cfg)
						return engine
					},
					dialAs: func(uid uint32) *client {
						p.next.Store(uid)
						c := dialSocket(t, path)
						c.want(c.ask("PING"), "OK PONG") // it has been looked at
						return c
					},
				})
			})
		}
	})
}

// stage is where playAtRandom plays.
type stage struct {
	faster int                          // how many times as fast as the clock of the play
	start  func(cfg Config) *fakeEngine // starts a server
	dialAs func(uid uint32) *client
}

// turning is the uid of the next peer, for servers that accept while the test runs.
type turning struct{ next atomic.Uint32 }

func (p *turning) of(net.Conn) (access.Peer, error) { return access.Peer{UID: p.next.Load()}, nil }

func playAtRandom(t *testing.T, seed uint64, s stage) {
	random := rand.New(rand.NewPCG(seed, 0))
	engine := s.start(Config{
		Limits: Limits{UserRate: s.faster * (50 + random.IntN(1000)), MaxUserWaits: 64},
		Sign:   func(_ secret.Text, _ string, _ int64, url string) string { return strings.ReplaceAll(url, "/", "_") },
		Rules: []access.Rule{{UIDs: []uint32{alice, bob}, Names: []string{"official_account/*", "mini_program/*", "work/*"},
			Verbs: []string{"GET", "SIGN", "REJECT", "LIST", "STATUS"}}},
	})
	const slowTicket = "work/ww0123/1000003/jsapi_ticket"
	engine.mu.Lock()
	engine.creds[slowTicket] = &fakeCred{}
	engine.mu.Unlock()

	// A request, and what its reply has to begin or end with.
	request := func(id string) (line, prefix, suffix string) {
		switch random.IntN(9) {
		case 0:
			return "PING", "OK PONG", ""
		case 1:
			return "GET " + token, "OK ", " tok-01"
		case 2: // waits, if it is the first
			return "SIGN " + slowTicket + " https://" + id, "OK ", "https:__" + id
		case 3:
			return "SIGN " + ticket + " https://" + id, "OK ", "https:__" + id
		case 4: // refused by the rules
			return "REFRESH " + token, "ERR DENIED - REFRESH is not", ""
		case 5: // hidden
			return "GET " + pushed, "ERR NOT_FOUND - no such", ""
		case 6: // wrong
			return id, "ERR BAD_REQUEST - ", ""
		case 7: // a job
			return "LIST nosuch", "OK 0", ""
		default:
			return "STATUS a/" + id + "/c", "ERR NOT_FOUND - no such", ""
		}
	}
	var talking sync.WaitGroup
	for i := range 6 {
		uid := []uint32{alice, bob}[i%2]
		n := 1 + random.IntN(150)
		var text strings.Builder
		var want [][2]string
		for j := range n {
			line, prefix, suffix := request(fmt.Sprintf("%c-%d-%d", 'a'+rune(i), i, j))
			text.WriteString(line + []string{"\n", "\r\n"}[random.IntN(2)])
			want = append(want, [2]string{prefix, suffix})
		}
		cuts := rand.New(rand.NewPCG(seed, uint64(i)))
		leaves := random.IntN(6) == 0
		c := s.dialAs(uid)
		talking.Go(func() { sendInPieces(c.Conn, text.String(), cuts, s.faster) })
		talking.Go(func() {
			replies := c.r
			for j, w := range want {
				if leaves && j == len(want)/2 {
					c.Close()
					return
				}
				line, err := replies.ReadString('\n')
				line = strings.TrimSuffix(line, "\n")
				if err != nil || !strings.HasPrefix(line, w[0]) || !strings.HasSuffix(line, w[1]) {
					t.Errorf("connection %d, reply %d\n got %q and %v\nwant %q...%q", i, j, line, err, w[0], w[1])
					c.Close()
					return
				}
			}
		})
	}
	time.Sleep(time.Duration(random.Int64N(int64(20*time.Second))) / time.Duration(s.faster))
	engine.tell(slowTicket, fetched{ttl: time.Hour, value: "ticket-slow"})
	talking.Wait()
}

// sendInPieces writes text in pieces, with pauses now and then, until it cannot.
func sendInPieces(nc net.Conn, text string, random *rand.Rand, faster int) {
	for len(text) > 0 {
		n := min(len(text), 1+random.IntN([]int{3, 40, 4000}[random.IntN(3)]))
		if _, err := io.WriteString(nc, text[:n]); err != nil {
			return
		}
		text = text[n:]
		if random.IntN(8) == 0 {
			time.Sleep(time.Duration(random.Int64N(int64(time.Second))) / time.Duration(faster))
		}
	}
}
