package sdktest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
	goredis "github.com/redis/go-redis/v9"

	"tokend/clientlib"
)

const (
	officialToken = "official_account/wxsandboxofficial/access_token"
	rotatingToken = "official_account/wxsandboxrotating/access_token"
	miniToken     = "mini_program/wxsandboxmini/access_token"
)

// TestGoRedis runs go-redis, in both versions of RESP.
func TestGoRedis(t *testing.T) {
	s := newSite(t)
	for _, version := range []int{2, 3} {
		t.Run(fmt.Sprint("RESP", version), func(t *testing.T) {
			ctx := t.Context()
			c := goredis.NewClient(&goredis.Options{Addr: s.tokens.Client.Socket, Protocol: version, ClientName: "test", Password: "ignored", DB: 0})
			defer c.Close()
			want := mustGet(t, s, officialToken)
			if got, err := c.Get(ctx, officialToken).Result(); err != nil || got != want {
				t.Errorf("GET: got %q, %v", got, err)
			}
			if got, err := c.Get(ctx, "nothing").Result(); !errors.Is(err, goredis.Nil) {
				t.Errorf("GET of a missing key: got %q, %v", got, err)
			}
			if got, err := c.MGet(ctx, officialToken, "nothing", miniToken).Result(); err != nil || len(got) != 3 || got[0] != want || got[1] != nil || got[2] == nil {
				t.Errorf("MGET: got %v, %v", got, err)
			}
			if got, err := c.TTL(ctx, officialToken).Result(); err != nil || got < time.Minute || got > 2*time.Hour {
				t.Errorf("TTL: got %v, %v", got, err)
			}
			if got, err := c.TTL(ctx, "nothing").Result(); err != nil || got != -2 {
				t.Errorf("TTL of a missing key: got %v, %v", got, err)
			}
			if err := c.Get(ctx, "open_platform/wxsandboxplatform/wxnobody/access_token").Err(); err == nil || errors.Is(err, goredis.Nil) || !strings.HasPrefix(err.Error(), "REAUTH ") {
				t.Errorf("an error: got %v", err)
			}
			if got, err := c.Del(ctx, officialToken, "nothing").Result(); err != nil || got != 1 {
				t.Errorf("DEL: got %v, %v", got, err)
			}
			if _, err := c.Pipelined(ctx, func(p goredis.Pipeliner) error {
				for range 100 {
					p.Get(ctx, officialToken)
				}
				return nil
			}); err != nil {
				t.Errorf("a pipeline: %v", err)
			}
			if _, err := c.Do(ctx, "STATUS", officialToken).Result(); err != nil {
				t.Errorf("STATUS: %v", err)
			}

			sub := c.Subscribe(ctx, rotatingToken)
			defer sub.Close()
			if _, err := sub.Receive(ctx); err != nil {
				t.Fatal(err)
			}
			old := mustGet(t, s, rotatingToken)
			if _, err := s.tokens.Client.Reject(ctx, rotatingToken, clientlib.Secret(old)); err != nil {
				t.Fatal(err)
			}
			select {
			case m := <-sub.Channel():
				if m.Channel != rotatingToken || !strings.HasPrefix(m.Payload, "fresh ") {
					t.Errorf("got %v", m)
				}
			case <-time.After(longEnough):
				t.Error("no message")
			}
		})
	}
}

// TestRedigo runs redigo.
func TestRedigo(t *testing.T) {
	s := newSite(t)
	c, err := redis.Dial("unix", s.tokens.Client.Socket, redis.DialPassword("ignored"), redis.DialDatabase(0), redis.DialClientName("test"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want := mustGet(t, s, officialToken)
	if got, err := redis.String(c.Do("GET", officialToken)); err != nil || got != want {
		t.Errorf("GET: got %q, %v", got, err)
	}
	if _, err := redis.String(c.Do("GET", "nothing")); !errors.Is(err, redis.ErrNil) {
		t.Errorf("GET of a missing key: got %v", err)
	}
	if got, err := redis.Strings(c.Do("MGET", officialToken, "nothing")); err != nil || !slices.Equal(got, []string{want, ""}) {
		t.Errorf("MGET: got %q, %v", got, err)
	}
	if got, err := redis.Int(c.Do("TTL", officialToken)); err != nil || got < 60 {
		t.Errorf("TTL: got %d, %v", got, err)
	}
	if _, err := c.Do("GET", "open_platform/wxsandboxplatform/wxnobody/access_token"); err == nil || !strings.HasPrefix(err.Error(), "REAUTH ") {
		t.Errorf("an error: got %v", err)
	}
	if got, err := redis.Int(c.Do("DEL", officialToken)); err != nil || got != 1 {
		t.Errorf("DEL: got %d, %v", got, err)
	}
	if got, err := redis.StringMap(c.Do("STATUS", officialToken)); err != nil || got["state"] != "fresh" {
		t.Errorf("STATUS: got %v, %v", got, err)
	}
	sub := redis.PubSubConn{Conn: c}
	if err := sub.PSubscribe("official_account/wxsandboxrotating/*"); err != nil {
		t.Fatal(err)
	}
	if got, ok := sub.ReceiveWithTimeout(longEnough).(redis.Subscription); !ok || got.Count != 1 {
		t.Fatalf("got %v", got)
	}
	mustGet(t, s, rotatingToken)
	if got, ok := sub.ReceiveWithTimeout(longEnough).(redis.Message); !ok || got.Channel != rotatingToken || !strings.HasPrefix(string(got.Data), "fresh ") {
		t.Errorf("got %v", got)
	}
}

// mustGet returns a credential's value by tokend's client.
func mustGet(t *testing.T, s *site, name string) string {
	t.Helper()
	c, err := s.tokens.Client.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return c.Value.Reveal()
}
