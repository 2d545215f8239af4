package server

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"tokend/daemon/access"
	"tokend/daemon/alias"
	"tokend/daemon/credential"
)

// cmd returns the bytes of a command; words are separated by spaces.
func cmd(words string) string { return cmdOf(strings.Split(words, " ")...) }

func cmdOf(args ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b.String()
}

// bulks returns bulk strings.
func bulks(texts ...string) string {
	var b strings.Builder
	for _, text := range texts {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(text), text)
	}
	return b.String()
}

const (
	hello2 = "*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n$5\r\nproto\r\n:2\r\n$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n"
	hello3 = "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n"
	null2  = "$-1\r\n"
	null3  = "_\r\n"
	info   = "# Server\r\nredis_version:7.0.0\r\nredis_mode:standalone\r\ntokend_version:1.2.3\r\n"

	unknownKey = "no/such/name"
	notFound   = "-NOT_FOUND - no such credential\r\n"
)

// testAliases are aliases of the fake engine's credentials.
var testAliases = []alias.Alias{
	{Key: "cache_{app_id}", Name: "official_account/{app_id}/access_token", Form: alias.DefaultForm},
	{Key: "json:{app_id}", Name: "official_account/{app_id}/access_token", Form: `{{"token":{json},"ttl":{ttl}}}`},
	{Key: "ticket_{app_id}", Name: "open_platform/{app_id}/component_verify_ticket", Form: `s:{bytes}:"{value}";`},
	{Key: "bad_{x}", Name: "official_account/" + strings.Repeat("x", 60) + "{x}/access_token", Form: alias.DefaultForm},
}

// newRespSession returns a session like newTestSession's, with aliases and grants.
func newRespSession(t testing.TB, peer access.Peer, rules ...access.Rule) (*session, *fakeEngine) {
	t.Helper()
	engine := newFakeEngine()
	engine.creds[aGrant] = &fakeCred{kind: "grant", state: credential.Fresh}
	s := New(Config{Engine: engine, Inbox: fakeInbox{engine}, Sign: fakeSign, Version: "1.2.3", Aliases: testAliases, Rules: rules})
	return sessionOf(s, peer), engine
}

// reply returns what a new session of an operator answers.
func reply(t testing.TB, commands string) string {
	t.Helper()
	s, _ := newRespSession(t, access.Peer{})
	defer s.close()
	got, _ := drive(t, s, []byte(commands))
	return got
}

func TestRespCommands(t *testing.T) {
	for commands, want := range map[string]string{
		cmd("PING") + cmd("ping") + cmd("PING x"): "+PONG\r\n+PONG\r\n$1\r\nx\r\n",
		cmdOf("ECHO", "\x00\r\n\xff"):             "$4\r\n\x00\r\n\xff\r\n",
		"*0\r\n*-1\r\n" + cmd("PING"):             "+PONG\r\n",
		cmd("HELLO"):                              hello2,
		cmd("HELLO 2"):                            hello2,
		cmd("hello 3 AUTH user pass SETNAME me") + cmd("GET "+unknownKey): hello3 + null3,
		cmd("HELLO 3") + cmd("HELLO 2") + cmd("GET "+unknownKey):          hello3 + hello2 + null2,
		cmd("HELLO 3") + cmd("RESET") + cmd("GET "+unknownKey):            hello3 + "+RESET\r\n" + null2,
		cmd("HELLO 4"):                           "-NOPROTO unsupported protocol version\r\n",
		cmd("HELLO x"):                           "-ERR value is not an integer or out of range\r\n",
		cmd("HELLO 3 AUTH me"):                   "-ERR syntax error\r\n",
		cmd("AUTH pass") + cmd("AUTH user pass"): "+OK\r\n+OK\r\n",
		cmd("AUTH a b c"):                        "-ERR wrong number of arguments for 'auth' command\r\n",
		cmd("SELECT 0"):                          "+OK\r\n",
		cmd("SELECT 1"):                          "-ERR DB index is out of range\r\n",
		cmd("SELECT x"):                          "-ERR value is not an integer or out of range\r\n",
		cmd("CLIENT SETNAME me") + cmd("CLIENT SETINFO LIB-NAME x"): "+OK\r\n+OK\r\n",
		cmd("CLIENT NO-EVICT on") + cmd("CLIENT NO-TOUCH on"):       "+OK\r\n+OK\r\n",
		cmd("CLIENT ID") + cmd("CLIENT ID") + cmd("CLIENT GETNAME"): ":1\r\n:1\r\n" + null2,
		cmd("CLIENT KILL x"):   "-ERR unknown subcommand 'KILL'. Try CLIENT HELP.\r\n",
		cmd("CLIENT"):          "-ERR wrong number of arguments for 'client' command\r\n",
		cmd("CLIENT SETNAME"):  "-ERR wrong number of arguments for 'client|setname' command\r\n",
		cmd("CONFIG GET save"): "*2\r\n" + bulks("save", ""),
		cmd("CONFIG GET *only") + cmd("CONFIG GET nosuch"): "*6\r\n" + bulks("appendonly", "no", "replica-read-only", "no", "slave-read-only", "no") + "*0\r\n",
		cmd("CONFIG GET SAVE timeou? d*"):                  "*6\r\n" + bulks("save", "", "databases", "1", "timeout", "0"),
		cmd("CONFIG GET"):                                  "-ERR wrong number of arguments for 'config|get' command\r\n",
		cmd("CONFIG SET save x"):                           "-ERR unknown command 'CONFIG', with args beginning with: \r\n",
		cmd("INFO server"):                                 bulks(info),
		cmd("INFO"):                                        bulks(info + "\r\n# Persistence\r\nloading:0\r\n\r\n# Replication\r\nrole:master\r\nconnected_slaves:0\r\n"),
		cmd("INFO memory"):                                 bulks(""),
		cmd("COMMAND") + cmd("COMMAND DOCS get"):           "*0\r\n*0\r\n",
		cmd("ROLE"):                                        "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n",
		cmd("CLUSTER INFO"):                                "-ERR This instance has cluster support disabled\r\n",
		cmd("QUIT") + cmd("PING"):                          "+OK\r\n",
		cmd("VERSION"):                                     bulks("tokend 1.2.3 protocol 1"),

		cmd("NOSUCH secret"):                              "-ERR unknown command 'NOSUCH', with args beginning with: \r\n",
		cmdOf("a\r\nb"):                                   "-ERR unknown command 'a??b', with args beginning with: \r\n",
		cmd(strings.Repeat("x", 65)):                      "-ERR unknown command '" + strings.Repeat("x", 64) + "', with args beginning with: \r\n",
		cmd("MULTI") + cmd("WATCH a"):                     "-ERR unknown command 'MULTI', with args beginning with: \r\n-ERR unknown command 'WATCH', with args beginning with: \r\n",
		cmd("RELOAD") + cmd("BACKUP") + cmd("IMPORT a/b"): "-ERR unknown command 'RELOAD', with args beginning with: \r\n-ERR unknown command 'BACKUP', with args beginning with: \r\n-ERR unknown command 'IMPORT', with args beginning with: \r\n",
		cmd("GET"):      "-ERR wrong number of arguments for 'get' command\r\n",
		cmd("Get a b"):  "-ERR wrong number of arguments for 'get' command\r\n",
		cmd("STATS x"):  "-ERR wrong number of arguments for 'stats' command\r\n",
		cmd("TIME now"): "-ERR wrong number of arguments for 'time' command\r\n",

		cmd("REJECT " + token + " old"):                                                bulks("tok-01"),
		cmd("REJECT cache_wx0123 old"):                                                 bulks("tok-01"),
		cmd("REJECT " + unknownKey + " old"):                                           notFound,
		cmd("REJECT nothing old"):                                                      notFound,
		cmdOf("REJECT", token, "two words"):                                            "-BAD_REQUEST - REJECT: byte 4 of the value is not a printable ASCII character\r\n",
		cmd("SIGN " + token + " https://example.com/"):                                 "-BAD_REQUEST - SIGN: only a jsapi_ticket or an agent_config_ticket signs\r\n",
		cmd("EXCHANGE " + platform + " queryauthcode@@@01"):                            bulks(platform + "/wxcustomer"),
		cmd("PUT " + pushed + " ticket@@@01"):                                          "+OK\r\n",
		cmd("PUT " + token + " x"):                                                     "-BAD_REQUEST - " + token + " is fetched from WeChat: only pushed tickets and grants can be put\r\n",
		cmd("LIST work/ww0123/1000002/a"):                                              "*1\r\n" + bulks(workToken+" stale 599"),
		cmdOf("LIST", "x") + cmd("HISTORY "+ticket):                                    "*0\r\n*0\r\n",
		cmd("STATUS " + unknownKey):                                                    notFound,
		cmd("STATUS x"):                                                                "-BAD_REQUEST - STATUS: a name is family/owner[/child]/credential: 3 to 5 segments, this one has 1\r\n",
		cmd("PUSH " + platform + " 0a1b2c3d4e5f60718293a4b5c6d7e8f901234567 1 n YQ=="): "+OK\r\n",
	} {
		if got := reply(t, commands); got != want {
			t.Errorf("%.80q\n got %q\nwant %q", commands, got, want)
		}
	}
}

func TestRespVaryingReplies(t *testing.T) {
	for commands, want := range map[string]string{
		cmd("TIME"): `^\*2\r\n\$10\r\n\d{10}\r\n\$\d\r\n\d+\r\n$`,
		cmd("SIGN " + ticket + " https://example.com/"): `^\*3\r\n\$10\r\n\d{10}\r\n\$16\r\n\w{16}\r\n\$\d+\r\n[^\r]+\r\n$`,
		cmd("HISTORY " + token):                         `^\*3\r\n\$\d+\r\n\S+Z schedule ok errcode=0 rid=- ms=85\r\n`,
		cmd("STATUS " + token):                          `^\*46\r\n\$4\r\nname\r\n\$36\r\n` + token + `\r\n\$4\r\nkind\r\n\$12\r\nstable_token\r\n`,
		cmd("HELLO 3") + cmd("STATUS "+token):           `%23\r\n\$4\r\nname\r\n`,
		cmd("STATS"):                                    `^\*\d+\r\n\$27\r\ncalls:/cgi-bin/stable_token\r\n:3\r\n(.|\r\n)*\$12\r\nforeign_sets\r\n:0\r\n`,
		cmd("LIST"):                                     `^\*8\r\n\$`,
		cmdOf("LIST", ""):                               `^\*8\r\n\$`,
	} {
		if got := reply(t, commands); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%q\n got %q\nwant %s", commands, got, want)
		}
	}
}

func TestRespFraming(t *testing.T) {
	for in, want := range map[string]string{
		"*1025\r\n":              "-ERR Protocol error: invalid multibulk length\r\n",
		"*1\r\n$-1\r\n":          "-ERR Protocol error: invalid bulk length\r\n",
		"*1\r\n:1\r\n":           "-ERR Protocol error: expected '$', got ':'\r\n",
		cmd("PING") + "PING\r\n": "+PONG\r\n-ERR Protocol error: expected '*', got 'P'\r\n",
		cmd("PING") + "\n":       "+PONG\r\n-ERR Protocol error: expected '*', got ' '\r\n",
		"*1\r\n$65523\r\n":       "-ERR Protocol error: too big\r\n",
		cmdOf("GET", strings.Repeat("k", 64<<10)): "-ERR Protocol error: too big\r\n",
	} {
		s, _ := newRespSession(t, access.Peer{})
		got, last := drive(t, s, []byte(in+cmd("PING")))
		if got != want || last != refuse {
			t.Errorf("%.40q: got %q, %d; want %q, and the end", in, got, last, want)
		}
		s.close()
	}
	// A long key is a key. The last byte of it may come alone.
	long := cmdOf("GET", strings.Repeat("k", 65_000))
	s, _ := newRespSession(t, access.Peer{})
	if got, _ := drive(t, s, []byte(long[:len(long)-1]), []byte(long[len(long)-1:])); got != null2 {
		t.Errorf("a long key: got %q", got)
	}
}

// TestStarInLines checks that a star selects RESP at the beginning of a connection only.
func TestStarInLines(t *testing.T) {
	s, _ := newTestSession(t)
	got, last := drive(t, s, []byte("PING\n*1\r\nPING\n"))
	if !strings.HasPrefix(got, "OK PONG\nERR BAD_REQUEST - ") || !strings.HasSuffix(got, "\nOK PONG\n") || last != more {
		t.Errorf("got %q", got)
	}
}

// TestRespIndependentOfReads checks that the replies are the same wherever the bytes are cut.
func TestRespIndependentOfReads(t *testing.T) {
	in := []byte(cmd("PING") + cmd("GET "+token) + "*0\r\n" + cmd("MGET "+token+" x") + cmd("get cache_wx0123") + cmd("SET a b") + cmd("DEL x") + cmd("QUIT"))
	whole := reply(t, string(in))
	for i := range in {
		s, _ := newRespSession(t, access.Peer{})
		if got, last := drive(t, s, in[:i], in[i:]); got != whole || last != end {
			t.Errorf("cut at %d\n got %q\nwant %q", i, got, whole)
		}
		s.close()
	}
}

// TestRespHitAllocs checks that a hit allocates nothing, by a name or by an alias.
func TestRespHitAllocs(t *testing.T) {
	for _, key := range []string{token, "cache_wx0123", "json:wx0123"} {
		s := sessionOf(New(Config{Engine: onlyToken{newStaticEngine()}, Limits: Limits{UserRate: unslowed}, Aliases: testAliases}), access.Peer{UID: guest})
		in := []byte(cmd("GET "+key) + cmd("get "+key))
		n := testing.AllocsPerRun(100, func() {
			s.out = s.out[:0]
			if n, next := s.step(in); n != len(in) || next != more || s.out[0] != '$' {
				t.Fatalf("%d, %d, %q", n, next, s.out)
			}
		})
		if n != 0 {
			t.Errorf("%s: %g allocations", key, n)
		}
	}
}

// TestRespOverSockets holds a conversation over both drivers: pipelined, in pieces, with hits,
// values that are waited for, and errors.
func TestRespOverSockets(t *testing.T) { overBoth(t, tryRespOverSockets) }

func tryRespOverSockets(t *testing.T, d driver) {
	path, _, engine := d.startSocket(t, Config{Aliases: testAliases})
	c, lines := dialSocket(t, path), dialSocket(t, path)
	lines.want(lines.ask("GET "+token), "OK 7199 tok-01")
	whole := cmd("PING") + cmd("GET "+token) + cmd("GET "+cold) + cmd("PUT "+pushed+" ticket@@@01") + cmd("MGET cache_wx0123 "+cold) + cmd("ping")
	c.send(whole[:3])
	time.Sleep(time.Millisecond)
	c.send(whole[3:])
	wantBytes(t, c, "+PONG\r\n"+bulks("tok-01"))
	eventually(t, "it waits", func() bool { _, now := engine.waiters(); return now == 1 })
	engine.tell(cold, fetched{ttl: time.Hour, value: "fetched"})
	wantBytes(t, c, bulks("fetched")+"+OK\r\n*2\r\n"+bulks("tok-01", "fetched")+"+PONG\r\n")
	c.send("x")
	c.want(c.rest(), "-ERR Protocol error: expected '*', got 'x'\r\n")
}
