package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"tokend/clientlib"
	"tokend/daemon/advice"
	"tokend/fetchers/wechattest"
)

func TestWrap(t *testing.T) {
	for _, test := range []struct {
		text  string
		width int
		want  []string
	}{
		{"a bb ccc", 0, []string{"a bb ccc"}},
		{"\x1b[31maaaaaaaaaa\x1b[0m bbbbbbbbbb cc", 22, []string{"\x1b[31maaaaaaaaaa\x1b[0m bbbbbbbbbb", "cc"}},
		{"aaaaaaaaaa bbbbbbbbbb cc", 22, []string{"aaaaaaaaaa bbbbbbbbbb", "cc"}},
		{"请在微信后台把它加入白名单，然后执行：sudo", 22, []string{"请在微信后台把它加入", "白名单，然后执行：", "sudo"}},
	} {
		got := wrap(test.text, test.width)
		if strings.Join(got, "|") != strings.Join(test.want, "|") {
			t.Errorf("%q in %d:\n got %q\nwant %q", test.text, test.width, got, test.want)
		}
		for _, line := range got {
			if test.width > 0 && columns(line) > test.width {
				t.Errorf("%q takes %d columns", line, columns(line))
			}
		}
	}
}

// TestScreenWidth holds that rows are aligned by columns and fit the screen.
func TestScreenWidth(t *testing.T) {
	var out strings.Builder
	s := screen{w: &out, width: 40}
	g := grid{
		{{text: "official_account/wx0123456789abcdef/access_token"}, {text: "fresh"}, {text: "============", drawn: s.bar(0.5, 12)}},
		{{text: "账号"}, {text: "idle"}},
	}
	g.write(&s, 2)
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if columns(lines[0]) != 40 || !strings.HasSuffix(lines[0], "fresh   ######......") || strings.Index(lines[0], "fresh") != strings.Index(lines[1], "idle")-len("账号")+columns("账号") {
		t.Errorf("got\n%s", out.String())
	}
}

// TestNarrowScreen holds that no row is wider than the screen, and that the first columns stay.
func TestNarrowScreen(t *testing.T) {
	g := grid{{{text: "official_account"}, {text: "2 accounts"}, {text: "2 fresh, 5 idle, 1 stale"}, {text: "shortest life 1h57m"}}}
	for _, width := range []int{80, 79, 60, 40, 20} {
		var out strings.Builder
		g.write(&screen{w: &out, width: width}, 2)
		line := strings.TrimSuffix(out.String(), "\n")
		if columns(line) > width || !strings.HasPrefix(line, "  offici") || (width > 60) != strings.Contains(line, "shortest") {
			t.Errorf("in %d columns: %d columns %q", width, columns(line), line)
		}
	}
}

// TestTroubleWithoutStatus holds that a user without the right to STATUS learns of trouble too.
func TestTroubleWithoutStatus(t *testing.T) {
	const name = "official_account/wx1/access_token"
	path := replying(t, map[string]string{
		"VERSION": "OK tokend 1.0.0 protocol 1\n", "STATS": "OK 0\n", "LIST": "OK 1\n" + name + " held -\n",
		"STATUS " + name: "ERR DENIED - STATUS is not granted to this user\n",
	})
	var stdout, stderr strings.Builder
	code := run(t.Context(), []string{"status", "--socket", path}, os.Getenv, strings.NewReader(""), &stdout, &stderr)
	if code != exitFailed || !strings.Contains(stdout.String(), "needs attention\n  "+name+"\n    held\n") {
		t.Errorf("exit status %d, %q, %q", code, stdout.String(), stderr.String())
	}
}

// TestManyInTrouble holds that an overview of many credentials is short, and that JSON has all.
func TestManyInTrouble(t *testing.T) {
	t.Parallel()
	const accounts = 300
	s := newSite(t, "")
	var tables strings.Builder
	for i := range accounts {
		fmt.Fprintf(&tables, "[[official_account]]\napp_id = \"wx%04d\"\nsecret = \"s\"\n", i)
	}
	s.configure("", tables.String())
	s.serve()
	for i := range accounts {
		if _, err := s.client.Get(t.Context(), fmt.Sprintf("official_account/wx%04d/access_token", i)); err == nil {
			t.Fatal("an unknown account has a token")
		}
	}
	out, _, code := s.tokend("", "status")
	if n := strings.Count(out, "\n"); code != exitFailed || n > 40 || !strings.Contains(out, "more for the same reason") || !strings.Contains(out, "and 100 more: 100 held") {
		t.Errorf("status %d, %d lines:\n%s", code, n, out)
	}
	out, _, code = s.tokend("", "status", "--json")
	var all []struct {
		Healthy     bool
		Credentials int
		States      map[string]int
		Attention   []struct {
			Name, State, Advice, Command string
			WhatToDo                     string `json:"what_to_do"`
			Errcode                      int
			Also                         []string
		}
		Endpoints []struct {
			Path          string
			Calls, Failed int
		}
	}
	if err := json.Unmarshal([]byte(out), &all); err != nil || code != exitFailed || len(all) != 1 {
		t.Fatalf("status %d, %v:\n%.500s", code, err, out)
	}
	o := all[0]
	if o.Healthy || o.States["held"] != accounts || len(o.Attention) != accounts || len(o.Endpoints) != 1 || o.Endpoints[0].Failed != accounts {
		t.Errorf("got %v, %d, %v, %d in trouble, %+v", o.Healthy, o.Credentials, o.States, len(o.Attention), o.Endpoints)
	}
	if a := o.Attention[0]; a.Advice != "account" || a.Errcode != 40013 || a.Command != "sudo tokend refresh "+a.Name || !strings.HasSuffix(a.WhatToDo, a.Command) {
		t.Errorf("got %+v", a)
	}
}

// TestHealthyStatus holds that the exit status is 0 if nothing needs attention.
func TestHealthyStatus(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	s.serve()
	s.everything()
	out, stderr, code := s.tokend("", "status")
	if code != exitDone || stderr != "" || strings.Contains(out, "attention") || !strings.Contains(out, "fresh   ############   ") {
		t.Errorf("status %d: %s\n%s", code, stderr, out)
	}
}

// TestStatusExplainsWaiting holds that the status of a missing ticket, and of a credential that
// needs it, has the refused pushes with their causes and the address for the console.
func TestStatusExplainsWaiting(t *testing.T) {
	t.Parallel()
	s := newPlatform(t)
	const owner = "wxsandboxplatform"
	const ticket, child = "open_platform/" + owner + "/component_verify_ticket", "open_platform/" + owner + "/component_access_token"
	s.wechat.SetQuirks(owner, wechattest.Quirks{BadSignature: true})
	p := s.wechat.TicketPush(owner)
	_ = s.client.Push(t.Context(), "open_platform/"+owner, clientlib.Callback{MsgSignature: p.MsgSignature, Timestamp: p.Timestamp, Nonce: p.Nonce, Encrypt: p.Encrypt})
	_ = s.client.Push(t.Context(), "open_platform/wxother", clientlib.Callback{MsgSignature: p.MsgSignature, Timestamp: p.Timestamp, Nonce: p.Nonce, Encrypt: p.Encrypt})
	if _, _, code := s.tokend("", "get", child); code != exitLater {
		t.Fatalf("get: status %d", code)
	}
	for _, name := range []string{ticket, child} {
		out, stderr, code := s.tokend("", "status", name)
		if code != exitDone {
			t.Errorf("%s: status %d, %s", name, code, stderr)
		}
		for _, want := range []string{
			"waiting for a push of " + ticket,
			"no push has arrived since the daemon started, " + time.Now().Format("2006-"),
			"refused pushes, the last one ",
			"1 signature: " + advice.English.Refusal("signature"),
			"1 pushes named an owner that is not configured",
			"https://example.com/callback/open_platform/" + owner,
		} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: %q is missing in\n%s", name, want, out)
			}
		}
	}
	// After a push, there is a time.
	s.wechat.SetQuirks(owner, wechattest.Quirks{})
	p = s.wechat.TicketPush(owner)
	if err := s.client.Push(t.Context(), "open_platform/"+owner, clientlib.Callback{MsgSignature: p.MsgSignature, Timestamp: p.Timestamp, Nonce: p.Nonce, Encrypt: p.Encrypt}); err != nil {
		t.Fatal(err)
	}
	if out, _, _ := s.tokend("", "status", ticket); strings.Contains(out, "waiting for a push") || !strings.Contains(out, "fetched_at ") {
		t.Errorf("after a push:\n%s", out)
	}
}
