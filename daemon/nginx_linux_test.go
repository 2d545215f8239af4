package daemon

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// nginxConf forwards two ports to one address: as nginx does by default, with HTTP/1.0, and over
// HTTP/1.1 with connections that stay open and the address as the host.
const nginxConf = `
daemon off;
master_process off;
worker_processes 1;
pid %[1]s/nginx.pid;
error_log %[1]s/error.log;
events { worker_connections 64; }
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	upstream tokend { server %[2]s; keepalive 4; }
	server {
		listen 127.0.0.1:%[3]d;
		location / { proxy_pass http://%[2]s; }
	}
	server {
		listen 127.0.0.1:%[4]d;
		location / {
			proxy_pass http://tokend;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header Host %[2]s;
		}
	}
}
`

// TestProxyShowsNoPages checks with nginx, which runs as root or the daemon's own user and may see
// everything, that a reverse proxy to the callbacks' port cannot show a page, even if it forwards
// all paths and gives no sign of forwarding. It does forward pushes.
func TestProxyShowsNoPages(t *testing.T) {
	program, err := exec.LookPath("nginx")
	if err != nil {
		if program = "/usr/sbin/nginx"; exec.Command(program, "-v").Run() != nil {
			t.Skip("nginx is not installed")
		}
	}
	s, file := newPlatformSite(t)
	d := s.start(file)
	<-d.engine.Loaded()
	plain, kept := freePort(t), freePort(t)
	conf := filepath.Join(s.dir, "nginx.conf")
	text := fmt.Sprintf(nginxConf, s.dir, d.http.addr(), plain, kept)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-p", s.dir, "-c", conf, "-e", filepath.Join(s.dir, "error.log"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })

	for name, port := range map[string]int{"HTTP/1.0": plain, "HTTP/1.1": kept} {
		base := fmt.Sprintf("http://127.0.0.1:%d", port)
		get := func(path string) (int, string) {
			resp, err := http.Get(base + path)
			if err != nil {
				return 0, err.Error()
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return resp.StatusCode, string(b)
		}
		s.eventually(name+": nginx forwards", func() bool { status, _ := get("/healthz"); return status == 200 })
		for range 3 { // also over a connection that has forwarded other requests
			for path, want := range map[string]int{"/": 404, "/status": 404, "/metrics": 404, "/?lang=zh": 404, "/healthz": 200, "/readyz": 200} {
				if status, body := get(path); status != want || strings.Contains(body, "tokend") || strings.Contains(body, "wxcomponent") {
					t.Errorf("%s %s: got %d %q, want %d", name, path, status, body, want)
				}
			}
			resp, err := http.Post(base+"/callback/open_work/wwsuite1?msg_signature=x&timestamp=1&nonce=n", "text/xml", strings.NewReader("<xml/>"))
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusForbidden {
				t.Errorf("%s: a push with a wrong signature: got %d, want 403 from tokend", name, resp.StatusCode)
			}
		}
	}
}
