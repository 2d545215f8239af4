package server

import (
	"io"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"tokend/daemon/access"
	"tokend/daemon/credential"
	"tokend/daemon/throttle"
)

// Rules that change while requests are answered: each request is answered by the old rules or the
// new ones, and none that was sent after SetRules has returned by the old ones.
func TestRulesChangeUnderLoad(t *testing.T) { overBoth(t, tryRulesChangeUnderLoad) }

func tryRulesChangeUnderLoad(t *testing.T, d driver) {
	path, s, _ := d.startSocket(t, Config{peer: as(guest)})
	open := []access.Rule{{UIDs: []uint32{guest}, Names: []string{"official_account/*"}, Verbs: []string{"GET", "LIST"}}}
	shut := []access.Rule{{UIDs: []uint32{guest}, Names: []string{"work/*"}, Verbs: []string{"GET", "LIST"}}}
	s.SetRules(shut)

	// These clients send requests all the time. Either reply is right.
	var asking sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		c := dialSocket(t, path)
		asking.Go(func() {
			request := strings.Repeat("GET "+token+"\nLIST\n", 20)
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := io.WriteString(c.Conn, request); err != nil {
					t.Error(err)
					return
				}
				for range 20 {
					if !answerOfEither(t, c) {
						return
					}
				}
			}
		})
	}
	// These send requests while the rules do not change.
	c := dialSocket(t, path)
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
		s.SetRules(open)
		if got := c.ask("GET %s", token); !strings.HasSuffix(got, " tok-01") {
			t.Fatalf("by the open rules: %q", got)
		}
		s.SetRules(shut)
		c.want(c.ask("GET %s", token), "ERR NOT_FOUND - no such credential")
		c.want(c.ask("REFRESH %s", token), "ERR NOT_FOUND - no such credential")
		c.want(c.ask("REFRESH %s", workToken), "ERR DENIED - REFRESH is not granted to this user")
	}
	close(stop)
	asking.Wait()
}

// answerOfEither reads the answers to a GET and a LIST, and reports whether they are those of one
// set of rules each.
func answerOfEither(t *testing.T, c *client) bool {
	line, err := c.r.ReadString('\n')
	if err != nil || line != "ERR NOT_FOUND - no such credential\n" && !strings.HasSuffix(line, " tok-01\n") {
		t.Errorf("GET: got %q and %v", line, err)
		return false
	}
	// Two names each way: official_account/wx0123's, or work/ww0123's.
	family := ""
	for i := range 3 {
		line, err := c.r.ReadString('\n')
		if err != nil {
			t.Error(err)
			return false
		}
		if i == 0 {
			if line != "OK 2\n" {
				t.Errorf("LIST: got %q, want 2 names", line)
				return false
			}
			continue
		}
		of, _, _ := strings.Cut(line, "/")
		if family != "" && family != of {
			t.Errorf("LIST mixes what two sets of rules show: %s and %s", family, of)
			return false
		}
		family = of
	}
	return true
}

// What is hidden is not so much as looked for: a list that the rules leave nothing of asks for
// none.
func TestHiddenListWithoutLookup(t *testing.T) {
	rules := []access.Rule{{UIDs: []uint32{guest}, Names: []string{"official_account/wx*/jsapi_ticket", "work/ww1/2/access_token"}, Verbs: []string{"LIST"}}}
	for prefix, asks := range map[string]bool{
		"open_platform/":                 false,
		workToken:                        false,
		"official_account/wx":            true,
		"official_account/wx0123/access": true, // not worth finding out that it cannot be
		"official_account/":              true,
		"official_account/ww":            false,
		"":                               true,
		"work/":                          true,
		"work/ww1/2/access_token":        true,
		"work/ww1/2/access_token2":       false,
	} {
		asked := false
		engine := askedEngine{newFakeEngine(), &asked}
		s := sessionOf(New(Config{Engine: engine, Rules: rules}), access.Peer{UID: guest})
		request := strings.TrimSuffix("LIST "+prefix, " ") + "\n"
		if got, _ := drive(t, s, []byte(request)); got[:3] != "OK " || strings.Contains(got, "/open_") {
			t.Errorf("%s is answered %q", request, got)
		}
		if asked != asks {
			t.Errorf("LIST %q\n got the engine asked: %v\nwant %v", prefix, asked, asks)
		}
	}
}

// STATS of whom not everything is granted tells what that user has done, and nothing of others.
func TestStatsOfOthersAreHidden(t *testing.T) {
	rules := []access.Rule{
		{UIDs: []uint32{alice}, Names: []string{"official_account/*"}, Verbs: []string{"GET", "STATS"}},
		{UIDs: []uint32{bob}, Names: []string{"*"}, Verbs: []string{"STATS"}},
	}
	s := New(Config{Engine: newFakeEngine(), Rules: rules})
	drive(t, sessionOf(s, access.Peer{}), []byte("GET "+token+"\nGET "+workToken+"\nBAD\n"))
	drive(t, sessionOf(s, access.Peer{UID: carol}), []byte("GET "+token+"\n"))
	ask := func(uid uint32) string {
		got, _ := drive(t, sessionOf(s, access.Peer{UID: uid}), []byte("GET "+token+"\nSTATS\n"))
		return got[strings.Index(got, "\n")+1:]
	}
	if got, want := ask(alice), "OK 6\nconnections 0\nforeign_sets 0\nhits 1\nreads 1\nrejects 0\nwaits 0\n"; got != want {
		t.Errorf("of one who may see some\n got %q\nwant %q", got, want)
	}
	want := "OK 10\ncalls:/cgi-bin/stable_token 3\nconnections 0\nerrors:BAD_REQUEST 1\nerrors:DENIED 1\nerrors:NOT_FOUND 1\n" +
		"foreign_sets 0\nhits 3\nreads 3\nrejects 0\nwaits 0\n"
	if got := ask(bob); got != want {
		t.Errorf("of one who may see all\n got %q\nwant %q", got, want)
	}
	if got := ask(carol); !strings.HasPrefix(got, "ERR DENIED") {
		t.Errorf("of one who may see none\n got %q", got)
	}
}

// askedEngine notes whether it was asked for a list.
type askedEngine struct {
	*fakeEngine
	asked *bool
}

func (e askedEngine) List(work *throttle.Work, prefix string, may func(string) bool) (int, iter.Seq[credential.Listing]) {
	*e.asked = true
	return e.fakeEngine.List(work, prefix, may)
}
