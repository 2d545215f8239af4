package daemon

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// redisConn is a connection that speaks RESP.
type redisConn struct {
	t  *testing.T
	nc net.Conn
	r  *bufio.Reader
}

func (s *site) redis() *redisConn {
	s.t.Helper()
	nc, err := net.Dial("unix", filepath.Join(s.dir, "s"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = nc.Close() })
	return &redisConn{s.t, nc, bufio.NewReader(nc)}
}

// do sends a command and returns the first line of the reply, and the text of a bulk string.
func (c *redisConn) do(words ...string) string {
	c.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	if _, err := io.WriteString(c.nc, b.String()); err != nil {
		c.t.Fatal(err)
	}
	return c.line()
}

func (c *redisConn) line() string {
	c.t.Helper()
	line, err := c.r.ReadString('\n')
	if err == nil && line[0] == '$' && line != "$-1\r\n" {
		line, err = c.r.ReadString('\n')
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.TrimSuffix(line, "\r\n")
}

const redisAliases = `
[[redis.alias]]
key  = "old:{app_id}"
name = "mini_program/{app_id}/access_token"
`

// TestAliasesReloaded checks that aliases are in force from the start, and that a reload changes
// them for a connection that stays open.
func TestAliasesReloaded(t *testing.T) {
	s := newSite(t)
	d := s.start(s.config(accountsTOML + redisAliases))
	c := s.redis()
	token := c.do("GET", "mini_program/wxmini/access_token")
	if got := c.do("GET", "old:wxmini"); got != token || len(token) < 10 {
		t.Fatalf("got %q by the alias, %q by the name", got, token)
	}
	if err := d.Reload(t.Context(), s.config(accountsTOML+strings.Replace(redisAliases, "old:", "new:", 1))); err != nil {
		t.Fatal(err)
	}
	if got := c.do("GET", "old:wxmini"); got != "$-1" {
		t.Errorf("the old alias: got %q", got)
	}
	if got := c.do("GET", "new:wxmini"); got != token {
		t.Errorf("the new alias: got %q, want %q", got, token)
	}
}
