package server

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokend/daemon/access"
)

func TestRespSet(t *testing.T) {
	const notCredential = "-DENIED - not a credential: tokend stores WeChat credentials only\r\n"
	for commands, want := range map[string]string{
		cmd("SET " + token + " other"):                          "+OK\r\n",
		cmd("SET "+token+" other EX 10 XX") + cmd("GET "+token): "+OK\r\n" + bulks("tok-01"),
		cmd("SET " + token + " other PX 10 NX"):                 null2,
		cmd("HELLO 3") + cmd("SET "+token+" other NX"):          hello3 + null3,
		cmd("SETEX " + token + " 7000 other"):                   "+OK\r\n",
		cmd("PSETEX cache_wx0123 7000 other"):                   "+OK\r\n",
		cmd("SETNX " + token + " other"):                        ":0\r\n",
		cmd("SET "+pushed+" t@1 EX 1 NX") + cmd("GET "+pushed):  "+OK\r\n" + bulks("t@1"),
		cmd("SETNX " + aGrant + " r@1"):                         ":1\r\n",
		cmd("SETEX ticket_wxcomponent 7000 s:3:\"t@2\";") + cmd("GET "+pushed) + cmd("GET ticket_wxcomponent"): "+OK\r\n" + bulks("t@2", `s:3:"t@2";`),
		cmd("SET ticket_wxcomponent t@2"):  "-BAD_REQUEST - the value does not have the form that the alias of this key has\r\n",
		cmdOf("SET", pushed, ""):           "-BAD_REQUEST - PUT: the value is empty\r\n",
		cmdOf("SET", pushed, "a b"):        "-BAD_REQUEST - PUT: byte 2 of the value is not a printable ASCII character\r\n",
		cmd("SET nothing x"):               notCredential,
		cmd("SET lock 1 NX EX 10"):         notCredential,
		cmd("SETNX nothing x"):             notCredential,
		cmd("SET " + unknownKey + " x"):    notCredential,
		cmd("SET " + token + " x FOO"):     "-ERR syntax error\r\n",
		cmd("SET " + token + " x EX"):      "-ERR syntax error\r\n",
		cmd("SET " + token + " x GET"):     "-ERR syntax error\r\n",
		cmd("SET " + token + " x EX soon"): "-ERR value is not an integer or out of range\r\n",
		cmd("SETEX " + token + " soon x"):  "-ERR value is not an integer or out of range\r\n",
		cmd("SET " + token):                "-ERR wrong number of arguments for 'set' command\r\n",
	} {
		if got := reply(t, commands); got != want {
			t.Errorf("%.90q\n got %q\nwant %q", commands, got, want)
		}
	}
}

// TestForeignSets checks that a foreign value is counted each time, and logged once a minute for
// each credential, without the value.
func TestForeignSets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log syncBuffer
		s := sessionOf(New(Config{Engine: newFakeEngine(), Logger: testLogger(&log), Aliases: testAliases}), access.Peer{UID: guest, PID: 42})
		said := func() int {
			return strings.Count(log.String(), "a program fetches a credential for itself")
		}
		sets := func(commands string, foreign int64, lines int) {
			t.Helper()
			drive(t, s, []byte(commands))
			if n := s.user.stats.foreignSets.Load(); n != foreign || said() != lines {
				t.Errorf("got %d and %d lines, want %d and %d", n, said(), foreign, lines)
			}
		}
		sets(cmd("SET "+token+" tok-01")+cmd(`SET json:wx0123 {"token":"tok-01","ttl":5}`), 0, 0) // what it has read
		sets(cmd("SET "+token+" canary"), 1, 1)
		sets(cmd("SET "+token+" canary")+cmd("SET json:wx0123 canary")+cmd("SETEX cache_wx0123 7000 canary"), 4, 1)
		sets(cmd("SET "+cold+" canary"), 5, 2)
		time.Sleep(time.Minute)
		sets(cmd("SET "+token+" canary"), 6, 3)
		if text := log.String(); strings.Contains(text, "canary") || !strings.Contains(text, "uid=4000000000") || !strings.Contains(text, "pid=42") || !strings.Contains(text, "name="+token) {
			t.Errorf("got %s", text)
		}
	})
}

func TestForeignBounded(t *testing.T) {
	var f foreign
	for i := range 10 * maxForeign {
		f.allow(strings.Repeat("x", i), 0)
	}
	if len(f.logged) != maxForeign {
		t.Errorf("%d are remembered", len(f.logged))
	}
	if !f.allow("y", foreignEvery) || len(f.logged) != 1 {
		t.Errorf("a minute later %d are remembered", len(f.logged))
	}
}
