package record

import (
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tokend/fetchers/secret"
)

var (
	t0  = time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC)
	mom = func(d time.Duration) Moment { return Moment{Wall: t0.Add(d), Since: time.Hour + d} }
)

func samples() []Record {
	return []Record{
		Credential{Name: "work/ww1/7/access_token", Value: "tok", Boot: "b1", Issued: mom(0), Seen: mom(5), End: mom(2 * time.Hour), Life: 2 * time.Hour, Aged: true, Stamp: t0, Previous: "before", Overdue: mom(time.Hour)}.Encode(),
		Credential{Name: "work/ww1/7/ww2/access_token", Value: "tok", Boot: "b1", Issued: mom(0), Seen: mom(5), End: mom(2 * time.Hour), Life: 2 * time.Hour, Target: "5/1"}.Encode(),
		Credential{Name: "official_account/wx1/access_token", Value: "tok", Boot: "b1@web1", Issued: mom(0), Seen: mom(5), End: mom(2 * time.Hour), Life: 2 * time.Hour, By: "web1", Call: "c7"}.Encode(),
		Hold{Name: "work/ww1/7/access_token", Settings: "ab", Reason: 3, Cause: 5, ErrCode: -1, Message: "errcode=-1 busy", RID: "r", Address: "192.0.2.1", Failures: 4, Boot: "b1", Since: mom(0), Until: mom(9)}.Encode(),
		Budget{Key: "wx1#token", Window: time.Hour, Boot: "b1", Slices: []Slice{{mom(0), mom(3), 12}, {mom(9), mom(9), 1}}}.Encode(),
		Grant{Name: "open_platform/wxc/wxa/refresh_token", Generation: Generation{"r2", t0, "event"}, Earlier: []Generation{{"r1", t0, "config"}}, Revoked: t0.Add(9), Seed: "ab"}.Encode(),
		Grant{Name: "open_platform/wxc/wxb/refresh_token", Generation: Generation{"r2", t0, "rotation"}, Number: 300}.Encode(),
		Code{Owner: "open_work/wws", Value: "code", At: t0, Boot: "b1", Until: mom(time.Hour), Next: mom(time.Minute), Tries: 2, Grant: "open_work/wws/wwc/permanent_code"}.Encode("k"),
		Spent{Owner: "open_work/wws", Child: "wwc", Boot: "b1", Until: mom(time.Hour)}.Encode("k"),
		Key{Name: "fingerprint", Bytes: []byte{7, 0, 9}}.Encode(),
		History{Name: "work/ww1/7/access_token", Attempts: []Attempt{{At: t0, Cause: 2, Outcome: "ok", Took: 7 * time.Millisecond}, {At: t0, Cause: 1, Outcome: "upstream", ErrCode: 40125, RID: "r"}}}.Encode(),
	}
}

// again decodes r by its table and encodes the result.
func again(r Record) (Record, error) {
	switch r.Table {
	case Credentials:
		c, err := DecodeCredential(r)
		return c.Encode(), err
	case Holds:
		h, err := DecodeHold(r)
		return h.Encode(), err
	case Grants:
		g, err := DecodeGrant(r)
		return g.Encode(), err
	case Codes:
		c, err := DecodeCode(r)
		return c.Encode(r.Key), err
	case Exchanged:
		s, err := DecodeSpent(r)
		return s.Encode(r.Key), err
	case Histories:
		h, err := DecodeHistory(r)
		return h.Encode(), err
	case Keys:
		k, err := DecodeKey(r)
		return k.Encode(), err
	default:
		b, err := DecodeBudget(r)
		return b.Encode(), err
	}
}

func TestRecordsRoundTrip(t *testing.T) {
	for _, r := range samples() {
		got, err := again(r)
		if err != nil {
			t.Fatalf("%s: %v", r.Table, err)
		}
		if d := cmp.Diff(r, got); d != "" {
			t.Errorf("%s: %s", r.Table, d)
		}
	}
}

// TestTargetAbsent decodes a record without the Target field and expects the same bytes when it is
// encoded again.
func TestTargetAbsent(t *testing.T) {
	const before = "0103746f6b0262318a80b4bdb6f6da98318080c58bc6d1019480b4bdb6f6da98318a80c58bc6d1018a80bed4c299de98" +
		"318080cfa2d2f40480808a978ca303018a80b4bdb6f6da9831066265666f72658a80f9c8fcc7dc983180808a978ca303"
	value, err := hex.DecodeString(before)
	if err != nil {
		t.Fatal(err)
	}
	c, err := DecodeCredential(Record{Table: Credentials, Key: "work/ww1/7/access_token", Value: value})
	if err != nil || c.Target != "" || c.Overdue != mom(time.Hour) {
		t.Errorf("got target %q, overdue %v, %v", c.Target, c.Overdue, err)
	}
	if got := hex.EncodeToString(c.Encode().Value); got != before {
		t.Errorf("\n got %s\nwant %s", got, before)
	}
}

// TestClusterFieldsAbsent decodes records without the fields that only a cluster uses. They are
// zero, and are not encoded: the records of a single host do not change.
func TestClusterFieldsAbsent(t *testing.T) {
	const credential = "0103746f6b0262318a80b4bdb6f6da98318080c58bc6d1019480b4bdb6f6da98318a80c58bc6d1018a80bed4c299de98" +
		"318080cfa2d2f40480808a978ca303000000000003352f31"
	const grant = "019c80b4bdb6f6da9831026162020272328a80b4bdb6f6da9831056576656e740272318a80b4bdb6f6da983106636f6e666967"
	value := func(text string) []byte {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	c, err := DecodeCredential(Record{Table: Credentials, Key: "work/ww1/7/ww2/access_token", Value: value(credential)})
	if err != nil || c.Target != "5/1" || c.By != "" || c.Call != "" {
		t.Errorf("got %+v, %v", c, err)
	}
	if got := hex.EncodeToString(c.Encode().Value); got != credential {
		t.Errorf("\n got %s\nwant %s", got, credential)
	}
	g, err := DecodeGrant(Record{Table: Grants, Key: "open_platform/wxc/wxa/refresh_token", Value: value(grant)})
	if err != nil || len(g.Earlier) != 1 || g.Number != 0 {
		t.Errorf("got %+v, %v", g, err)
	}
	if got := hex.EncodeToString(g.Encode().Value); got != grant {
		t.Errorf("\n got %s\nwant %s", got, grant)
	}
	g.Number = 7
	if live, err := LiveGrant(g.Encode()); live != g.Live() || err != nil {
		t.Errorf("numbered: got live %v, %v", live, err)
	}
}

func TestVersionChecked(t *testing.T) {
	for _, r := range samples() {
		newer := r
		newer.Value = append([]byte{99}, r.Value[1:]...)
		if _, err := again(newer); !errors.Is(err, ErrVersion) {
			t.Errorf("%s of version 99: got %v, want ErrVersion", r.Table, err)
		}
		empty := r
		empty.Value = []byte{}
		if _, err := again(empty); !errors.Is(err, ErrCorrupt) {
			t.Errorf("empty %s: got %v, want ErrCorrupt", r.Table, err)
		}
	}
}

// TestLiveGrant compares LiveGrant with Live.
func TestLiveGrant(t *testing.T) {
	gone, empty := Grant{Name: "g", Revoked: t0}, Grant{Name: "g", Seed: "seed"}
	gone.Value = "value"
	live := empty
	live.Value, live.Earlier = "value", []Generation{{Value: "before"}}
	for _, g := range []Grant{gone, empty, live} {
		if got, err := LiveGrant(g.Encode()); err != nil || got != g.Live() {
			t.Errorf("%+v: got %v, %v", g, got, err)
		}
	}
	whole := live.Encode()
	for n := range len("\x01\x00\x04seed\x02\x05value") {
		short := whole
		short.Value = whole.Value[:n]
		if live, err := LiveGrant(short); live {
			t.Errorf("cut after %d bytes: live, %v", n, err)
		}
	}
}

func TestGrantReplace(t *testing.T) {
	var g Grant
	for i := range 8 {
		g.Replace(Generation{Value: secret.Text(string(rune('a' + i))), At: t0.Add(time.Duration(i)), Source: "put"})
	}
	g.Revoked = t0
	g.Replace(Generation{Source: "rotation"})
	if g.Value != "h" || g.Live() {
		t.Errorf("an empty value changed the grant: %q, live %v", string(g.Value), g.Live())
	}
	g.Replace(g.Generation)
	if !g.Live() || len(g.Earlier) != Generations || g.Earlier[0].Value != "g" {
		t.Errorf("live %v, earlier %d, newest of them %q", g.Live(), len(g.Earlier), string(g.Earlier[0].Value))
	}
}

// TestShelve adds an earlier value. The current one stays, and is not among the earlier ones.
func TestShelve(t *testing.T) {
	g := Grant{Generation: Generation{Value: "current", At: t0, Source: "put"}, Revoked: t0}
	g.Shelve(Generation{Value: "late", At: t0, Source: FromOffer})
	if all := g.All(); g.Value != "current" || g.Live() || len(all) != 2 || all[1].Value != "late" {
		t.Errorf("got %q, live %v, %d values", string(g.Value), g.Live(), len(all))
	}
	g.Shelve(Generation{Value: "current", At: t0, Source: FromOffer})
	if len(g.Earlier) != 1 {
		t.Errorf("the current value is among the earlier ones: %d", len(g.Earlier))
	}
}

// TestUntriedKept merges copies with several values that were not tried. They stay in place of
// those that were, and so does the newest value of an authorization.
func TestUntriedKept(t *testing.T) {
	all := func(g *Grant) (all []string) {
		for _, x := range g.All() {
			all = append(all, string([]byte(x.Value))+" "+x.Source)
		}
		return all
	}
	gen := func(value, source string) Generation {
		return Generation{Value: secret.Text(value), At: t0, Source: source}
	}
	for _, tc := range []struct{ g, other Grant }{
		{
			Grant{Generation: gen("r9", FromRotation), Earlier: []Generation{
				gen("late8", FromOffer), gen("r7", FromRotation), gen("r6", FromRotation), gen("given", "event"),
			}},
			Grant{Generation: gen("x7", FromRotation), Earlier: []Generation{gen("y6", FromOffer), gen("r5", FromRotation)}},
		},
		{
			Grant{Revoked: t0},
			Grant{Generation: gen("r2", "event"), Earlier: []Generation{gen("late1", FromOffer)}},
		},
	} {
		before := all(&tc.g)
		if changed := tc.g.Merge(&tc.other); !changed || !tc.g.Covers(&tc.other) {
			t.Errorf("%q: got %q, changed %v, which lacks some of %q", before, all(&tc.g), changed, all(&tc.other))
		}
		if len(before) > 1 && (!tc.g.Knows("late8") || !tc.g.Knows("given")) {
			t.Errorf("%q: got %q", before, all(&tc.g))
		}
		if tc.g.Merge(&tc.other) {
			t.Errorf("%q: a second merge changes it", before)
		}
	}
	g := Grant{Generation: gen("r1", FromRotation), Earlier: []Generation{gen("given", "event")}}
	for _, value := range []string{"a", "b", "c", "d"} {
		g.Shelve(gen(value, FromOffer))
	}
	if g.Knows("a") || !g.Knows("d") || !g.Knows("given") || len(g.Earlier) != Generations {
		t.Errorf("got %q", all(&g))
	}
}

// TestAuthorizationKept: the newest value of an authorization stays among the earlier ones, however
// often it has been replaced. An older one is dropped like any other.
func TestAuthorizationKept(t *testing.T) {
	var g Grant
	g.Replace(Generation{Value: "older", At: t0, Source: "put"})
	g.Replace(Generation{Value: "given", At: t0, Source: "event"})
	for i := range 8 {
		value := secret.Text(string(rune('a' + i)))
		if g.Replace(Generation{Value: value, At: t0, Source: FromRotation}); i%2 == 1 {
			g.Shelve(Generation{Value: value + value, At: t0, Source: FromOffer})
		}
		if g.Value != value || !g.Knows("given") || len(g.Earlier) > Generations {
			t.Errorf("after %d: %q, given is known: %v, %d earlier", i, string(g.Value), g.Knows("given"), len(g.Earlier))
		}
	}
	if g.Knows("older") || g.Earlier[0].Value != "hh" || g.Earlier[1].Value != "g" {
		t.Errorf("older is known: %v, the newest earlier ones are %q, %q", g.Knows("older"), string(g.Earlier[0].Value), string(g.Earlier[1].Value))
	}
}

func FuzzDecode(f *testing.F) {
	for i, r := range samples() {
		f.Add(i, r.Value)
	}
	tables := []Table{Credentials, Holds, Budgets, Grants, Codes, Keys, Histories}
	f.Fuzz(func(t *testing.T, table int, value []byte) {
		r := Record{Table: tables[uint(table)%uint(len(tables))], Key: "k", Value: value}
		once, err := again(r)
		if err != nil {
			return
		}
		twice, err := again(once)
		if err != nil {
			t.Fatalf("%s: the re-encoded record does not decode: %v", r.Table, err)
		}
		if d := cmp.Diff(once, twice); d != "" {
			t.Errorf("%s: not stable: %s", r.Table, d)
		}
	})
}

// TestMerge merges a grant with another that could not be stored when it came. The customer's last
// word decides whether the result can be used.
func TestMerge(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(1000+s, 0) }
	for _, tc := range []struct {
		name          string
		value         secret.Text // stored
		revoked       int64       // the stored one; zero: it is not
		source        string
		otherRevoked  int64
		current       secret.Text
		live, earlier bool
	}{
		{"none stored", "", 0, "event", 0, "new", true, false},
		{"none stored, revoked before", "", 4, "event", 0, "new", true, false},
		{"none stored, revoked since", "", 6, "event", 0, "new", false, false},
		{"none stored, the other revoked", "", 0, "event", 6, "new", false, false},
		{"one stored", "old", 0, "event", 0, "old", true, true},
		{"revoked before", "old", 4, "event", 0, "new", true, false},
		{"revoked before, the same value", "new", 4, "event", 0, "new", true, false},
		{"revoked at the same time", "old", 5, "event", 0, "old", false, true},
		{"revoked since", "old", 6, "event", 0, "old", false, true},
		{"revoked before, rotated", "old", 4, FromRotation, 0, "old", false, true},
		{"revoked before, not dated", "old", 4, FromOffer, 0, "old", false, true},
		{"both revoked", "old", 4, "event", 6, "old", false, true},
	} {
		g, other := Grant{Name: "g"}, Grant{Name: "g"}
		g.Replace(Generation{Value: tc.value, At: at(0), Source: "put"})
		other.Replace(Generation{Value: "new", At: at(5), Source: tc.source})
		if tc.revoked != 0 {
			g.Revoked = at(tc.revoked)
		}
		if tc.otherRevoked != 0 {
			other.Revoked = at(tc.otherRevoked)
		}
		covered := g.Covers(&other)
		if g.Merge(&other) == covered || !g.Covers(&other) {
			t.Errorf("%s: covered before %v, after %v", tc.name, covered, g.Covers(&other))
		}
		earlier := len(g.Earlier) > 0 && g.Earlier[0].Value == "new" && g.Earlier[0].Source == FromOffer
		if g.Value != tc.current || g.Live() != tc.live || earlier != tc.earlier {
			t.Errorf("%s: got %+v", tc.name, g)
		}
	}
}
