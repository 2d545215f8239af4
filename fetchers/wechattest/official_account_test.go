package wechattest

import (
	"strings"
	"testing"
	"time"
)

func TestTokenRotates(t *testing.T) {
	bubble(t, Settings{}, func(c caller) {
		a := c.token()
		if a.ExpiresIn != 7200 || len(a.Access) != 136 || !strings.HasPrefix(a.Access, "74_") {
			t.Fatalf("got %+v", a)
		}
		time.Sleep(time.Minute)
		b := c.token()
		if a.Access == b.Access {
			t.Fatal("the same token twice")
		}
		c.alive(a.Access, 0)
		c.alive(b.Access, 0)
		time.Sleep(5*time.Minute - time.Nanosecond)
		c.alive(a.Access, 0)
		time.Sleep(time.Nanosecond)
		c.alive(a.Access, 40001)
		c.alive(b.Access, 0)
		time.Sleep(2*time.Hour - 5*time.Minute - time.Nanosecond)
		c.alive(b.Access, 0)
		time.Sleep(time.Nanosecond)
		c.alive(b.Access, 42001)
	})
}

func TestNewestTwoTokensValid(t *testing.T) {
	bubble(t, Settings{}, func(c caller) {
		a, b, d := c.token(), c.token(), c.token()
		c.alive(a.Access, 40001)
		c.alive(b.Access, 0)
		c.alive(d.Access, 0)
	})
}

func TestEnds(t *testing.T) {
	bubble(t, Settings{}, func(c caller) {
		first := c.token().Access
		if got, want := time.Until(c.Ends(first)), 2*time.Hour; got != want {
			t.Errorf("of a new token: got %v, want %v", got, want)
		}
		second := c.token().Access
		if got, want := time.Until(c.Ends(first)), 5*time.Minute; got != want {
			t.Errorf("a replaced token: got %v, want %v", got, want)
		}
		c.Kill(second)
		if got := time.Until(c.Ends(second)); got != 0 {
			t.Errorf("a killed token: got %v, want 0", got)
		}
		time.Sleep(3 * time.Hour)
		if got, want := time.Until(c.Ends(second)), -3*time.Hour; got != want {
			t.Errorf("of the same, later: got %v, want %v", got, want)
		}
		if got := c.Ends("made up"); !got.IsZero() {
			t.Errorf("never issued: got %v", got)
		}
	})
}

func TestStableTokenRepeats(t *testing.T) {
	bubble(t, Settings{}, func(c caller) {
		a := c.stable(false)
		if a.ExpiresIn != 7200 {
			t.Fatalf("got %+v", a)
		}
		time.Sleep(2*time.Hour - 5*time.Minute - time.Second)
		b := c.stable(false)
		if b.Access != a.Access || b.ExpiresIn != 301 {
			t.Errorf("before the last five minutes: another token, or %d s left", b.ExpiresIn)
		}
		time.Sleep(time.Second)
		d := c.stable(false)
		if d.Access == a.Access || d.ExpiresIn != 7200 {
			t.Errorf("in the last five minutes: the same token, or %d s left", d.ExpiresIn)
		}
		c.alive(a.Access, 0)
		c.alive(d.Access, 0)
		time.Sleep(5 * time.Minute)
		c.alive(a.Access, 42001)
		c.alive(d.Access, 0)
	})
}

func TestStableAndRotatingIndependent(t *testing.T) {
	bubble(t, Settings{}, func(c caller) {
		s, r := c.stable(false), c.token()
		for range 3 {
			c.token()
		}
		time.Sleep(30 * time.Minute)
		c.stable(true)
		c.alive(s.Access, 0)
		c.alive(r.Access, 40001)
		if got := c.token(); c.stable(false).Access == got.Access {
			t.Error("both have the same token")
		}
	})
}

func TestForcedRefresh(t *testing.T) {
	bubble(t, Settings{}, func(c caller) {
		a := c.stable(false)
		b := c.stable(true)
		if a.Access == b.Access {
			t.Fatal("no new token")
		}
		time.Sleep(30*time.Second - 1)
		if c.stable(true).Access != b.Access {
			t.Error("a forced refresh within 30 s made a new token")
		}
		c.alive(a.Access, 0)
		time.Sleep(time.Nanosecond)
		d := c.stable(true)
		if d.Access == b.Access {
			t.Error("a forced refresh after 30 s made no new token")
		}
		c.alive(a.Access, 40001) // the second forced refresh invalidates it
		c.alive(b.Access, 0)
		for range 18 {
			time.Sleep(30 * time.Second)
			c.isCode(c.stable(true), 0)
		}
		time.Sleep(30 * time.Second)
		c.isCode(c.stable(true), 45009)
		c.isCode(c.stable(false), 0)
		time.Sleep(day)
		c.isCode(c.stable(true), 0)
	})
}

func TestForceKills(t *testing.T) {
	bubble(t, Settings{ForceKills: true}, func(c caller) {
		a := c.stable(false)
		c.stable(true)
		c.alive(a.Access, 40001)
	})
}

func TestTicketTypes(t *testing.T) {
	bubble(t, Settings{Limits: Limits{AccountTicketsPerDay: 3}}, func(c caller) {
		get := func(typ string) said {
			return c.get(Ticket + "?access_token=" + c.stable(false).Access + "&type=" + typ)
		}
		types := []string{"jsapi", "wx_card", "2"}
		first := map[string]string{}
		for _, typ := range types { // half an hour apart, so they expire apart
			first[typ] = get(typ).Ticket
			time.Sleep(30 * time.Minute)
		}
		if len(first[types[2]]) == 0 || first[types[0]] == first[types[1]] || first[types[1]] == first[types[2]] || first[types[0]] == first[types[2]] {
			t.Errorf("two types have the same ticket: %q", first)
		}
		time.Sleep(30 * time.Minute)
		for i, typ := range types {
			if got := get(typ).Ticket; got == "" || (got == first[typ]) != (i > 0) {
				t.Errorf("%s after 2 h: another ticket: %t, want one for %s alone", typ, got != first[typ], types[0])
			}
		}
		for _, typ := range types {
			c.isCode(get(typ), 0)
			c.isCode(get(typ), 45009)
		}
	})
}

func TestTicketExpiresIn(t *testing.T) {
	bubble(t, Settings{}, func(c caller) {
		get := func(typ string) said {
			return c.get(Ticket + "?access_token=" + c.stable(false).Access + "&type=" + typ)
		}
		a, card := get("jsapi"), get("wx_card")
		if a.Ticket == card.Ticket || a.ExpiresIn != 7200 || a.ErrMsg != "ok" {
			t.Errorf("got %+v and %+v", a, card)
		}
		time.Sleep(2*time.Hour - 1)
		if b := get("jsapi"); b.Ticket != a.Ticket || b.ExpiresIn != 7200 {
			t.Errorf("shortly before expiry: another ticket, or %d s left", b.ExpiresIn)
		}
		time.Sleep(time.Nanosecond)
		if b := get("jsapi"); b.Ticket == a.Ticket {
			t.Error("the same ticket after two hours")
		}
		c.isCode(get("agent_config"), 40097)
	})
}
