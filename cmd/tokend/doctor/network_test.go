package doctor

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tokend/daemon/advice"
	"tokend/daemon/config"
)

// certificate returns a certificate for a host that is valid until end, and a pool that trusts it.
func certificate(t *testing.T, host string, end time.Time) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, NotBefore: end.Add(-48 * time.Hour), NotAfter: end,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	if ip := net.ParseIP(host); ip != nil {
		c.IPAddresses = []net.IP{ip}
	} else {
		c.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// serve starts a web server whose clock is off by skew, and returns its URL.
func serve(t *testing.T, cert *tls.Certificate, skew time.Duration) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(-skew).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusNotFound)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes fail on purpose
	if cert != nil {
		s.TLS = &tls.Config{Certificates: []tls.Certificate{*cert}}
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s.URL
}

// silent starts a listener that accepts connections and never answers.
func silent(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln.Addr().String()
}

// TestNetwork holds that each fault on the way to a host has a finding of its own, with a remedy.
func TestNetwork(t *testing.T) {
	good, trusted := certificate(t, "127.0.0.1", time.Now().Add(time.Hour))
	foreign, trustedForeign := certificate(t, "proxy.example.com", time.Now().Add(time.Hour))
	old, trustedOld := certificate(t, "127.0.0.1", time.Now().Add(-time.Hour))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := ln.Addr().String()
	_ = ln.Close()
	for _, test := range []struct {
		name  string
		url   string
		roots *x509.CertPool
		want  []Finding // check, level and a part of the text
	}{
		{"https", serve(t, &good, 0), trusted, []Finding{
			{Check: "dns", Level: "absent"}, {Check: "tcp", Level: OK, Text: "connected from 127.0.0.1"}, {Check: "tls", Level: OK, Text: "TLS 1.3"},
			{Check: "http", Level: OK, Text: "status 404"}, {Check: "clock", Level: OK}}},
		{"http", serve(t, nil, 0), nil, []Finding{{Check: "tls", Level: "absent"}, {Check: "clock", Level: OK}}},
		{"resolved", strings.Replace(serve(t, nil, 0), "127.0.0.1", "localhost", 1), nil, []Finding{{Check: "dns", Level: OK, Text: "127.0.0.1"}, {Check: "clock", Level: OK}}},
		{"no such host", "https://nobody.invalid", nil, []Finding{{Check: "dns", Level: Failed, Exit: exitLater}, {Check: "tcp", Level: "absent"}}},
		{"refused", "https://" + closed, nil, []Finding{{Check: "tcp", Level: Failed, Exit: exitLater, Text: "refused"}}},
		{"untrusted", serve(t, &good, 0), nil, []Finding{{Check: "tls", Level: Failed, Exit: exitLater, Text: "issuer is not trusted"}, {Check: "clock", Level: "absent"}}},
		{"another host's", serve(t, &foreign, 0), trustedForeign, []Finding{{Check: "tls", Level: Failed, Exit: exitLater, Text: "for another host: proxy.example.com"}}},
		{"expired", serve(t, &old, 0), trustedOld, []Finding{{Check: "tls", Level: Failed, Exit: exitLater, Text: "not valid now"}}},
		{"no TLS", strings.Replace(serve(t, nil, 0), "http:", "https:", 1), nil, []Finding{{Check: "tls", Level: Failed, Exit: exitLater, Text: "does not speak TLS"}}},
		{"silent TLS", "https://" + silent(t), nil, []Finding{{Check: "tls", Level: Failed, Exit: exitLater, Text: "no handshake within 1s"}}},
		{"silent HTTP", "http://" + silent(t), nil, []Finding{{Check: "http", Level: Failed, Exit: exitLater, Text: "no answer to HTTP within 1s"}}},
		{"clock ahead", serve(t, nil, time.Minute), nil, []Finding{{Check: "clock", Level: Warning, Text: "1m"}}},
		{"clock behind", serve(t, nil, -10*time.Minute), nil, []Finding{{Check: "clock", Level: Failed, Exit: exitFailed, Text: "behind"}}},
		{"no URL", "https://", nil, []Finding{{Check: "dns", Level: Failed, Exit: exitUsage}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for language := range advice.Language(advice.Languages) {
				d := &Doctor{Language: language, Roots: test.roots, Timeout: time.Second}
				if !strings.HasPrefix(test.name, "silent") {
					d.Timeout = 0
				}
				var got []Finding
				d.emit = func(f Finding) { got = append(got, f) }
				d.host(t.Context(), test.url)
				for _, want := range test.want {
					check(t, got, want, language)
				}
				for _, f := range got {
					if (f.Level == Failed || f.Level == Warning) != (f.Remedy != "") || f.Text == "" || (f.Level == Failed) != (f.Exit != 0) {
						t.Errorf("got %+v", f)
					}
				}
			}
		})
	}
}

// check looks for want in got. Texts are compared in English only.
func check(t *testing.T, got []Finding, want Finding, language advice.Language) {
	t.Helper()
	for _, f := range got {
		if f.Check != want.Check {
			continue
		}
		if f.Level != want.Level || f.Exit != want.Exit || language == advice.English && !strings.Contains(f.Text, want.Text) {
			t.Errorf("got  %+v\nwant %+v", f, want)
		}
		return
	}
	if want.Level != "absent" {
		t.Errorf("no finding %+v in %+v", want, got)
	}
}

// TestNoTimeLeft holds that the end of doctor's own time is not called a fault of the network.
func TestNoTimeLeft(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, url := range []string{"https://nobody.invalid", serve(t, nil, 0)} {
		d := &Doctor{}
		got := findings(d, func() { d.host(over, url) })
		if len(got) != 1 || got[0].Level != Skipped || !strings.Contains(got[0].Text, "--timeout") {
			t.Errorf("%s: got %+v", url, got)
		}
	}
}

// TestProxy holds that a proxy in the environment is reported, and that all hosts are visited.
func TestProxy(t *testing.T) {
	url := serve(t, nil, 0)
	for _, proxy := range []string{"", "http://127.0.0.1:1"} {
		d := &Doctor{
			Config: &config.Config{Upstream: config.Upstream{WeixinURLs: []string{url, url + "/other"}, WorkURL: url}},
			Getenv: func(key string) string { return map[string]string{"https_proxy": proxy}[key] },
		}
		var got []Finding
		d.emit = func(f Finding) { got = append(got, f) }
		d.network(t.Context())
		want := OK
		if proxy != "" {
			want = Warning
		}
		clocks := 0
		for _, f := range got {
			if f.Check == "clock" {
				clocks++
			}
		}
		if got[0].Check != "proxy" || got[0].Level != want || clocks != 2 {
			t.Errorf("proxy %q: got %+v", proxy, got)
		}
	}
}
