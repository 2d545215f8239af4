package main

import (
	"regexp"
	"strings"
	"testing"

	"tokend/clientlib"
	"tokend/fetchers/wechattest"
)

// counterForms returns the keys of STATS in the specification as patterns, with whether each may be
// absent.
func counterForms(t *testing.T) map[*regexp.Regexp]bool {
	t.Helper()
	_, section, ok := strings.Cut(readText(t, "docs/protocol.md"), "\n### STATS\n")
	section, _, ended := strings.Cut(section, "\n### ")
	if !ok || !ended {
		t.Fatal("docs/protocol.md has no section STATS")
	}
	forms := map[*regexp.Regexp]bool{}
	row := regexp.MustCompile("(?m)^\\| `([a-z_]+(?::(?:<[a-z]+>|[a-z]+))?)` \\| *(yes)? *\\|")
	for _, m := range row.FindAllStringSubmatch(section, -1) {
		form := regexp.QuoteMeta(m[1])
		if before, _, many := strings.Cut(m[1], "<"); many {
			form = regexp.QuoteMeta(before) + ".+"
		}
		forms[regexp.MustCompile("^"+form+"$")] = m[2] != ""
	}
	if len(forms) < 10 {
		t.Fatalf("the specification gives only %d counters", len(forms))
	}
	return forms
}

// TestKeysAreSpecified holds that the specification has every key of STATUS, as in the
// conversation, and every counter that STATS omits while it is zero.
func TestKeysAreSpecified(t *testing.T) {
	_, section, _ := strings.Cut(readText(t, "docs/protocol.md"), "\n### STATUS\n")
	section, _, _ = strings.Cut(section, "\n### ")
	keys := regexp.MustCompile(`(?m)^< ([a-z_]+) `).FindAllStringSubmatch(readText(t, "testdata/conversations/status.txt"), -1)
	if len(keys) < 15 {
		t.Fatalf("the conversation has only %d keys", len(keys))
	}
	for _, m := range keys {
		if !regexp.MustCompile("(?m)^\\|[^|]*`" + m[1] + "`").MatchString(section) {
			t.Errorf("the specification lacks the key %s of STATUS", m[1])
		}
	}
	forms := counterForms(t)
	rare := regexp.MustCompile(`occurred\("([a-z_]+)"`).FindAllStringSubmatch(readText(t, "daemon/server/stats.go"), -1)
	if len(rare) < 3 {
		t.Fatalf("only %d counters were found", len(rare))
	}
	for _, m := range rare {
		found := false
		for form, absent := range forms {
			found = found || absent && form.MatchString(m[1])
		}
		if !found {
			t.Errorf("the specification lacks the counter %s, or that it may be absent", m[1])
		}
	}
}

// TestStatsAreSpecified compares the specification with the counters of a daemon on which every
// event has occurred.
func TestStatsAreSpecified(t *testing.T) {
	t.Parallel()
	s := newOwnersSite(t, wechattest.Settings{}, "")
	broken, good := s.accounts[0], s.accounts[len(s.accounts)-1]
	s.wechat.Inject(wechattest.Fault{Account: broken.ID, Code: 40125})
	s.serve()
	for _, o := range s.conf.Owners {
		s.pushTicket(o.ID)
	}
	s.get(good.Names()[0])
	s.wantRefusal(broken.Names()[0], clientlib.ErrUpstream)
	counters, err := s.client.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	forms := counterForms(t)
	given := map[*regexp.Regexp]bool{}
	for _, c := range counters {
		known := false
		for form := range forms {
			if form.MatchString(c.Key) {
				given[form], known = true, true
			}
		}
		if !known {
			t.Errorf("STATS has %s, which the specification does not", c.Key)
		}
	}
	for form, rare := range forms {
		if !given[form] && !rare {
			t.Errorf("the specification has %v, which STATS does not", form)
		}
	}
}
