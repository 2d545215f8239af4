package protocol

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func TestAppendError(t *testing.T) {
	for _, tt := range []struct {
		about string
		e     Error
		want  string
	}{
		{"a retry helps", Error{Limited, 30 * time.Second, "30 s apart"}, "ERR LIMITED 30 30 s apart\n"},
		{"a retry does not help", Error{NotFound, Never, "no such credential"}, "ERR NOT_FOUND - no such credential\n"},
		{"at once", Error{Busy, 0, "busy"}, "ERR BUSY 0 busy\n"},
		{"a nanosecond", Error{Busy, 1, "busy"}, "ERR BUSY 1 busy\n"},
		{"rounded up", Error{Busy, 29*time.Second + 1, "busy"}, "ERR BUSY 30 busy\n"},
		{"the longest wait", Error{Busy, math.MaxInt64, "busy"}, "ERR BUSY 9223372037 busy\n"},
		{"no message", Error{Internal, Never, ""}, "ERR INTERNAL - -\n"},
		{"no code", Error{"", Never, "x"}, "ERR INTERNAL - x\n"},
		{"an invalid code", Error{"A B", Never, "x"}, "ERR INTERNAL - x\n"},
		{"two lines", Error{Upstream, Never, " a\r\nERR b\t\n"}, "ERR UPSTREAM - a  ERR b\n"},
		{"controls", Error{Upstream, Never, "a\x00\x1b[31m\u0085\u2028b\xff"}, "ERR UPSTREAM - a??[31m??b?\n"},
		{"Chinese", Error{Upstream, Never, "errcode=40013 不合法的 AppID"}, "ERR UPSTREAM - errcode=40013 不合法的 AppID\n"},
		{"too long", Error{Upstream, Never, strings.Repeat("信", 300)}, "ERR UPSTREAM - " + strings.Repeat("信", MaxMessage/3) + "\n"},
	} {
		got := string(AppendError(nil, &tt.e))
		if got != tt.want {
			t.Errorf("%s:\n got: %q\nwant: %q", tt.about, got, tt.want)
		}
		if _, err := ParseReply(strings.TrimSuffix(got, "\n")); errors.Is(err, ErrMalformed) {
			t.Errorf("%s: a client cannot parse %q", tt.about, got)
		}
	}
}

func TestErrorIsItsCode(t *testing.T) {
	err := error(&Error{Code: NotFound, RetryAfter: Never, Message: "no such credential"})
	if !errors.Is(err, NotFound) || errors.Is(err, Denied) {
		t.Errorf("errors.Is does not compare the code")
	}
	if got, want := err.Error(), "NOT_FOUND: no such credential"; got != want {
		t.Errorf("\n got: %s\nwant: %s", got, want)
	}
	err = &Error{Code: Busy, RetryAfter: time.Second}
	if got, want := err.Error(), "BUSY (try again in 1s)"; got != want {
		t.Errorf("\n got: %s\nwant: %s", got, want)
	}
}

func TestAppendReplies(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678, time.FixedZone("CST", 8*3600))
	for _, tt := range []struct {
		about string
		got   []byte
		want  string
	}{
		{"ok", AppendOK(nil), "OK\n"},
		{"pong", AppendPong(nil), "OK PONG\n"},
		{"version", AppendVersion(nil, "1.0.0"), "OK tokend 1.0.0 protocol 1\n"},
		{"version of two words", AppendVersion(nil, "1.0 dirty"), "OK tokend 1.0_dirty protocol 1\n"},
		{"ttl rounded down", AppendValue(nil, 7200*time.Second-1, "v"), "OK 7199 v\n"},
		{"ttl never 0", AppendValue(nil, 1, "v"), "OK 1 v\n"},
		{"signature", AppendSignature(nil, 1700000300, "Nonce123", "e7315b85"), "OK 1700000300 Nonce123 e7315b85\n"},
		{"customer", AppendCustomer(nil, "open_platform/wxc/wxa"), "OK open_platform/wxc/wxa\n"},
		{"import page", AppendImportPage(nil, ImportPage{700, 12, 500}), "OK 700 12 500\n"},
		{"last import page", AppendImportPage(nil, ImportPage{700, 0, 0}), "OK 700 0 -\n"},
		{"import page, negative", AppendImportPage(nil, ImportPage{-1, -1, -1}), "OK 0 0 -\n"},
		{"import page, total too large", AppendImportPage(nil, ImportPage{1e9, 500, 500}), "OK 100000000 500 500\n"},
		{"count", AppendCount(nil, 0), "OK 0\n"},
		{"listing", AppendListing(nil, "a/b/c", "fresh", 1500*time.Millisecond), "a/b/c fresh 1\n"},
		{"listing of a value about to expire", AppendListing(nil, "a/b/c", "fresh", 1), "a/b/c fresh 1\n"},
		{"listing without ttl", AppendListing(nil, "a/b/c", "idle", 0), "a/b/c idle -\n"},
		{"changed", AppendChanged(nil, "a/b/c", "stale", time.Minute), "CHANGED a/b/c stale 60\n"},
		{"pair", AppendPair(nil, "last_error", "a b\nc"), "last_error a b c\n"},
		{"pair without value", AppendPair(nil, "last_error", " "), "last_error -\n"},
		{"counter", AppendCounter(nil, "calls:/cgi-bin/token", 3), "calls:/cgi-bin/token 3\n"},
		{"attempt", AppendAttempt(nil, Attempt{at, "read", "ok", -1, "a b", 85 * time.Millisecond}),
			"2026-01-01T19:04:05Z read ok errcode=-1 rid=a_b ms=85\n"},
		{"attempt without rid", AppendAttempt(nil, Attempt{Time: at, Cause: "push"}),
			"2026-01-01T19:04:05Z push - errcode=0 rid=- ms=0\n"},
	} {
		if string(tt.got) != tt.want {
			t.Errorf("%s:\n got: %q\nwant: %q", tt.about, tt.got, tt.want)
		}
	}
}

func TestParseReplyRefuses(t *testing.T) {
	for _, line := range []string{
		"", "ok", "OK ", "OK  1", "OK 1 ", "OKAY", "YES", " OK", "OK a\x00", "OK \xff",
		"ERR", "ERR NOT_FOUND", "ERR NOT_FOUND -", "ERR NOT_FOUND - ", "ERR NOT_FOUND  x",
		"ERR not_found - x", "ERR NOT_FOUND -1 x", "ERR NOT_FOUND 1.5 x", "ERR NOT_FOUND 01 x",
		"ERR NOT_FOUND - " + strings.Repeat("x", MaxMessage+1),
	} {
		if _, err := ParseReply(line); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: error is %v, want ErrMalformed", line, err)
		}
	}
}

// TestRoundTrip holds that parsing returns what was appended.
func TestRoundTrip(t *testing.T) {
	cut := func(b []byte) string { return strings.TrimSuffix(string(b), "\n") }
	fields := func(b []byte) string {
		f, err := ParseReply(cut(b))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	if ttl, value, err := ParseValue(fields(AppendValue(nil, time.Hour, "v"))); ttl != time.Hour || value != "v" || err != nil {
		t.Errorf("value: %v %q %v", ttl, value, err)
	}
	if v, err := ParseVersion(fields(AppendVersion(nil, "1.2"))); v != "1.2" || err != nil {
		t.Errorf("version: %q %v", v, err)
	}
	if s, err := ParseSignature(fields(AppendSignature(nil, 17, "n", "s"))); (s != Signature{17, "n", "s"}) || err != nil {
		t.Errorf("signature: %+v %v", s, err)
	}
	if n, err := ParseCount(fields(AppendCount(nil, 12))); n != 12 || err != nil {
		t.Errorf("count: %d %v", n, err)
	}
	if c, err := ParseCustomer(fields(AppendCustomer(nil, "a/b/c"))); c != "a/b/c" || err != nil {
		t.Errorf("customer: %q %v", c, err)
	}
	for _, want := range []ImportPage{{}, {700, 12, 500}, {700, 200, 0}} {
		if got, err := ParseImportPage(fields(AppendImportPage(nil, want))); got != want || err != nil {
			t.Errorf("import page:\n got: %+v %v\nwant: %+v", got, err, want)
		}
	}
	for _, want := range []string{"a", "ab", "abc", strings.Repeat("\x00\xff", MaxPiece/2)} {
		if got, err := ParsePiece(cut(AppendPiece(nil, []byte(want)))); string(got) != want || err != nil {
			t.Errorf("piece of %d bytes: %d bytes, %v", len(want), len(got), err)
		}
	}
	want := Listing{"a/b/c", "held", 0}
	if l, err := ParseListing(cut(AppendListing(nil, want.Name, want.State, want.TTL))); l != want || err != nil {
		t.Errorf("listing: %+v %v", l, err)
	}
	want = Listing{"a/b/c", "fresh", time.Minute}
	if l, err := ParseChanged(cut(AppendChanged(nil, want.Name, want.State, want.TTL))); l != want || err != nil {
		t.Errorf("changed: %+v %v", l, err)
	}
	if k, v, err := ParsePair(cut(AppendPair(nil, "last_error", "a  b"))); k != "last_error" || v != "a  b" || err != nil {
		t.Errorf("pair: %q %q %v", k, v, err)
	}
	a := Attempt{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), "read", "upstream", -1, "", 85 * time.Millisecond}
	if got, err := ParseAttempt(cut(AppendAttempt(nil, a))); got != a || err != nil {
		t.Errorf("attempt:\n got: %+v %v\nwant: %+v", got, err, a)
	}
}

func TestParseLinesRefuse(t *testing.T) {
	refused := func(kind, line string, err error) {
		t.Helper()
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("%s %q: error is %v, want ErrMalformed", kind, line, err)
		}
	}
	for _, s := range []string{"", "v", "0 v", "-1 v", "1", "1 ", "1 a b", "x v", "9999999999999999999 v", "1 " + strings.Repeat("v", MaxValue+1)} {
		_, _, err := ParseValue(s)
		refused("value", s, err)
	}
	for _, s := range []string{"", "-", "-1", "1 2", "99999999999"} {
		_, err := ParseCount(s)
		refused("count", s, err)
	}
	for _, s := range []string{"", "tokend 1 protocol 2", "tokend  protocol 1", "redis 1 protocol 1", "tokend 1"} {
		_, err := ParseVersion(s)
		refused("version", s, err)
	}
	for _, s := range []string{"", "1 n", "x n s", "1 n s t", "1  s"} {
		_, err := ParseSignature(s)
		refused("signature", s, err)
	}
	for _, s := range []string{"", "a/b/c", "a/b/c fresh", "a/b/c fresh 0", "a/b/c fresh -1", "a/b fresh 1", "a/b/c FRESH 1", "a/b/c fresh 1 2"} {
		_, err := ParseListing(s)
		refused("listing", s, err)
		_, err = ParseChanged("CHANGED " + s)
		refused("changed", s, err)
	}
	for _, s := range []string{"", "a/b", "a/b/c/d", "a/b/c d", "a//c", "a/b/"} {
		_, err := ParseCustomer(s)
		refused("customer", s, err)
	}
	for _, s := range []string{"", "1 2", "1 2 3 4", "- 2 3", "1 - 3", "1 2 0", "1 2 x", "1 2 ", "-1 2 3", "1 2 100000001", "999999999 2 3"} {
		_, err := ParseImportPage(s)
		refused("import page", s, err)
	}
	for _, s := range []string{"", "YQ", "YR==", "YQ==YQ==", "Y Q=", "YWJj\r", "-_-_", strings.Repeat("YWJj", MaxPiece/3+1)} {
		_, err := ParsePiece(s)
		refused("piece", s, err)
	}
	_, err := ParseChanged("a/b/c fresh 1")
	refused("changed", "without CHANGED", err)
	for _, s := range []string{"", "k", "k ", " v", "k  v", "k v ", "k a\tb"} {
		_, _, err := ParsePair(s)
		refused("pair", s, err)
	}
	const good = "2026-01-02T03:04:05Z read ok errcode=0 rid=- ms=85"
	if _, err := ParseAttempt(good); err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct{ old, new string }{
		{"2026", "26"}, {"read", "READ"}, {"ok ", " "}, {"=0", "="}, {"=0", "=x"}, {"=0", "=--1"}, {"rid=-", "rid="}, {"rid=", ""}, {"ms=85", "ms=-1"}, {"ms=85", "ms=85 x"}, {"ms", "s"},
		{"05Z", "05+08:00"}, {"05Z", "05.5Z"}, {"=0", "=-0"}, {"=0", "=+1"}, {"rid=-", "rid=a\tb"}, {"rid=-", "rid=rid=x y"},
	} {
		s := strings.Replace(good, r.old, r.new, 1)
		_, err := ParseAttempt(s)
		refused("attempt", s, err)
	}
}

// FuzzParseReply holds that parsing does not panic and that everything it accepts can be written
// again.
func FuzzParseReply(f *testing.F) {
	for _, s := range []string{
		"OK", "OK PONG", "OK tokend 1.0 protocol 1", "OK 7200 tok-01", "OK 1700000300 n s", "OK 3", "OK a/b/c", "OK 700 12 500", "OK 700 12 -",
		"ERR BUSY 1 too many", "ERR NEW_CODE - something", "a/b/c fresh 12", "CHANGED a/b/c idle -", "last_error a b", "dG9rZW5kIGJhY2t1cCAxCg==",
		"2026-01-02T03:04:05Z read ok errcode=-1 rid=x ms=85",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		same := func(kind string, again []byte) {
			if want := line + "\n"; string(again) != want {
				t.Errorf("%s:\n got: %q\nwant: %q", kind, again, want)
			}
		}
		fields, err := ParseReply(line)
		if e, ok := errors.AsType[*Error](err); ok {
			if e.RetryAfter < time.Duration(maxSeconds)*time.Second { // else it was capped
				reply := AppendError(nil, e)
				if _, err := ParseReply(strings.TrimSuffix(string(reply), "\n")); errors.Is(err, ErrMalformed) {
					t.Errorf("cannot parse again: %q", reply)
				}
			}
		} else if err == nil {
			if ttl, value, err := ParseValue(fields); err == nil && ttl < time.Duration(maxSeconds)*time.Second {
				same("value", AppendValue(nil, ttl, value))
			}
			if n, err := ParseCount(fields); err == nil {
				same("count", AppendCount(nil, n))
			}
			if c, err := ParseCustomer(fields); err == nil {
				same("customer", AppendCustomer(nil, c))
			}
			if p, err := ParseImportPage(fields); err == nil {
				same("import page", AppendImportPage(nil, p))
			}
			_, _ = ParseVersion(fields)
			_, _ = ParseSignature(fields)
		} else if !errors.Is(err, ErrMalformed) || err.Error() == "" {
			t.Errorf("error is %v", err)
		}
		if l, err := ParseListing(line); err == nil && l.TTL < time.Duration(maxSeconds)*time.Second {
			same("listing", AppendListing(nil, l.Name, l.State, l.TTL))
		}
		if l, err := ParseChanged(line); err == nil && l.TTL < time.Duration(maxSeconds)*time.Second {
			same("changed", AppendChanged(nil, l.Name, l.State, l.TTL))
		}
		if piece, err := ParsePiece(line); err == nil {
			same("piece", AppendPiece(nil, piece))
		}
		_, _, _ = ParsePair(line)
		if a, err := ParseAttempt(line); err == nil {
			same("attempt", AppendAttempt(nil, a))
		}
	})
}
