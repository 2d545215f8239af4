package daemon

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"tokend/daemon/config"
)

// TestListenReloaded checks that a reload opens, moves and closes the HTTP listener. A reload whose
// address cannot be bound changes nothing.
func TestListenReloaded(t *testing.T) {
	s := newSite(t)
	at := func(addr, more string) *config.Config {
		text := more
		if addr != "" {
			text += fmt.Sprintf("[http]\nlisten = %q\n", addr)
		}
		return s.config(text + accountsTOML)
	}
	d := s.start(at("", ""))
	reload := func(file *config.Config, refusal string) {
		t.Helper()
		err := d.Reload(t.Context(), file)
		if refusal == "" && err != nil || refusal != "" && (err == nil || !strings.Contains(err.Error(), refusal)) {
			t.Fatalf("reload: got %v, want %q", err, refusal)
		}
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	works := func(addr string, want bool) {
		t.Helper()
		got := func() bool {
			resp, err := client.Get("http://" + addr + "/healthz")
			if err != nil {
				return false
			}
			_ = resp.Body.Close()
			return resp.StatusCode == http.StatusOK
		}
		s.eventually(fmt.Sprintf("%s answers: %t", addr, want), func() bool { return got() == want })
	}
	free := func() string {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		return ln.Addr().String()
	}
	first, second := free(), free()
	_, port, _ := net.SplitHostPort(second)

	reload(at(first, ""), "")
	works(first, true)
	kept, err := net.Dial("tcp", first)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	reload(at(second, ""), "")
	works(second, true)
	works(first, false)
	if n, err := kept.Read(make([]byte, 1)); err == nil {
		t.Errorf("an idle connection to the old address: read %d bytes, want its end", n)
	}

	busy, err := net.Listen("tcp", first)
	if err != nil {
		t.Fatal(err)
	}
	reload(at(first, "[limits]\nmax_connections = 7\n"), "address in use: "+first)
	works(second, true)
	if n := d.file.Limits.MaxConnections; n == 7 {
		t.Error("the refused reload changed a limit")
	}
	_ = busy.Close()

	// The old and the new address cannot both be bound.
	reload(at("192.0.2.1:"+port, ""), "not an address of this host: 192.0.2.1:"+port)
	works(second, true)
	reload(at(":"+port, ""), "")
	works(second, true)
	reload(at(second, ""), "")
	works(second, true)

	reload(at("", ""), "")
	works(second, false)
	reload(at(second, ""), "")
	works(second, true)
	d.stop()
	works(second, false)
}
