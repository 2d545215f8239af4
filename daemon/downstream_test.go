package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tokend/clientlib"
)

// TestDownstreamReload checks that a reload adds and removes downstream corps. A value that was
// fetched for another agentid or business_type must not be served. Every read verb is checked.
func TestDownstreamReload(t *testing.T) {
	s := newSite(t)
	accounts := func(downstream string) string {
		return "[[work]]\ncorp_id = \"wwcorp\"\nagent_id = \"1\"\nsecret = \"secret\"\ndownstream = [" + downstream + "]\n"
	}
	const one, two = `{ corp_id = "wwone", agent_id = "7" }`, `{ corp_id = "wwtwo", agent_id = "7" }`
	d := s.start(s.config(accounts(one)))
	get := func(corp string) (string, error) {
		c, err := s.client.Get(t.Context(), "work/wwcorp/1/"+corp+"/access_token")
		return string(c.Value), err
	}
	before, err := get("wwone")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := get("wwtwo"); !errors.Is(err, clientlib.ErrNotFound) {
		t.Errorf("a corp that is not configured: got %v, want NOT_FOUND", err)
	}
	reload := func(downstream string) {
		t.Helper()
		if err := d.Reload(t.Context(), s.config(accounts(downstream))); err != nil {
			t.Fatal(err)
		}
	}
	calls := s.wechat.Total()
	reload(one + ", " + two)
	if got, err := get("wwone"); got != before || s.wechat.Total() != calls {
		t.Errorf("the unchanged corp: another value, or %v, after %d calls", err, s.wechat.Total()-calls)
	}
	if got, err := get("wwtwo"); err != nil || got == before {
		t.Errorf("the added corp: the value of the other, or %v", err)
	}
	for _, changed := range []string{strings.Replace(one, `"7"`, `"8"`, 1), strings.Replace(one, `"7"`, `"7", business_type = 1`, 1)} {
		reload(changed)
		got, err := get("wwone")
		if err != nil || got == before {
			t.Errorf("%s: the value from before the reload, or %v", changed, err)
		}
		before = got
	}
	if _, err := get("wwtwo"); !errors.Is(err, clientlib.ErrNotFound) {
		t.Errorf("the removed corp: got %v, want NOT_FOUND", err)
	}

	const name = "work/wwcorp/1/wwone/access_token"
	list, err := s.client.List(t.Context(), "work/wwcorp/1/wwone/")
	if err != nil || len(list) != 1 || list[0].Name != name || list[0].State != "fresh" {
		t.Errorf("LIST: got %v, %v", list, err)
	}
	status, err := s.client.Status(t.Context(), name)
	if text := fmt.Sprint(status); err != nil || !strings.Contains(text, "downstream_token") || !strings.Contains(text, "work/wwcorp/1/access_token") {
		t.Errorf("STATUS: got %v, %v", status, err)
	}
	history, err := s.client.History(t.Context(), name)
	if err != nil || len(history) != 1 || history[0].Outcome != "ok" {
		t.Errorf("HISTORY: got %v, %v", history, err)
	}
	w, err := s.client.Watch(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	s.wechat.Kill(before)
	after, err := s.client.Reject(t.Context(), name, clientlib.Secret(before))
	if err != nil || string(after.Value) == before {
		t.Errorf("REJECT: the rejected value, or %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if l, err := w.Next(ctx); err != nil || l.Name != name || l.State != "fresh" || len(w.List()) != 1 {
		t.Errorf("WATCH: listed %v, then %v, %v", w.List(), l, err)
	}
}
