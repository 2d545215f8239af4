package catalog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"tokend/daemon/catalog/catalogtest"
	"tokend/daemon/credential"
	"tokend/fetchers/wechattest"
)

// downstreamTOML is two apps of a corp, shared with the same 40 downstream corps.
func downstreamTOML() string {
	var b strings.Builder
	for agent := range 2 {
		fmt.Fprintf(&b, "[[work]]\ncorp_id = \"wwcorp\"\nagent_id = \"%d\"\nsecret = \"secret-%[1]d\"\n", agent+1)
		for i := range 40 {
			fmt.Fprintf(&b, "[[work.downstream]]\ncorp_id = \"wwdown%d\"\nagent_id = \"7\"\nbusiness_type = %d\n", i, i%2)
		}
	}
	return b.String()
}

func downstreamName(agent, i int) string {
	return fmt.Sprintf("work/wwcorp/%d/wwdown%d/access_token", agent, i)
}

// TestDownstream: the tokens of downstream corps are fetched, refreshed while they are used, and
// expire when they are not. After the app's token died, they are repaired and the app's token is
// fetched once. No two share a value.
func TestDownstream(t *testing.T) {
	for _, full := range []bool{false, true} {
		inVirtualTime(t, wechattest.Settings{WorkSaysFullLife: full}, downstreamTOML(), func(v *virtual) {
			v.wechat.AddApp("wwcorp", "1", "secret-1")
			v.wechat.AddApp("wwcorp", "2", "secret-2")
			owner := map[string]string{}
			read := func(agent int) {
				for i := range 40 {
					name := downstreamName(agent, i)
					c, err := v.Get(context.Background(), name)
					value := string(c.Text)
					// WeCom counts whole seconds. In the last second it may repeat an expired
					// value.
					if dead := time.Since(v.wechat.Ends(value)); err != nil || dead > time.Second {
						t.Fatalf("GET %s: a value that ended %v ago, or %v", name, dead, err)
					}
					if other, ok := owner[value]; ok && other != name {
						t.Fatalf("%s and %s share a value", name, other)
					}
					owner[value] = name
				}
			}
			read(1)
			read(2)
			for range 8 * 60 {
				time.Sleep(time.Minute)
				read(1)
			}
			if n := v.wechat.CallsFor(wechattest.DownstreamToken, "wwcorp/2/wwdown0"); n != 1 {
				t.Errorf("%d calls for a token that nobody uses, want 1", n)
			}
			if n := len(owner); n < 80+40*3 {
				t.Errorf("%d values of 80 names in 8 h, 40 of them in use", n)
			}
			states := map[credential.State]int{}
			n, list := v.List(nil, "work/wwcorp/", nil)
			for l := range list {
				if strings.Contains(l.Name, "/wwdown") {
					states[l.State]++
				}
			}
			if states[credential.Fresh] != 40 || states[credential.Idle] != 40 || n != 86 {
				t.Errorf("LIST: got %v of %d names", states, n)
			}

			parent := v.get("work/wwcorp/1/access_token")
			v.wechat.Kill(parent)
			tokens, all := v.wechat.CallsFor(wechattest.CorpToken, "wwcorp/1"), make(chan error)
			for i := range 40 {
				v.wechat.Kill(v.get(downstreamName(1, i)))
				go func() {
					_, err := v.Refresh(context.Background(), downstreamName(1, i))
					all <- err
				}()
			}
			for range 40 {
				if err := <-all; err != nil {
					t.Errorf("after the parent's death: %v", err)
				}
			}
			if n := v.wechat.CallsFor(wechattest.CorpToken, "wwcorp/1") - tokens; n != 1 {
				t.Errorf("calls for the app's token: got %d, want 1", n)
			}
			read(1)
			if n := v.wechat.MaxConcurrent(wechattest.DownstreamToken, "wwcorp/1/wwdown0"); n != 1 {
				t.Errorf("%d calls for one token at once", n)
			}
		})
	}
}

// TestDownstreamRefused: a token that WeCom refuses because of the configuration is held, and the
// app's token is not fetched again.
func TestDownstreamRefused(t *testing.T) {
	const accounts = "[[work]]\ncorp_id = \"wwcorp\"\nagent_id = \"1\"\nsecret = \"secret\"\n" +
		"downstream = [{ corp_id = \"wwdown\", agent_id = \"7\" }, { corp_id = \"wwother\", agent_id = \"7\" }]\n"
	inVirtualTime(t, wechattest.Settings{}, accounts, func(v *virtual) {
		v.wechat.AddApp("wwcorp", "1", "secret")
		v.wechat.Inject(wechattest.Fault{Endpoint: wechattest.DownstreamToken, Account: "wwcorp/1/wwdown", Code: 301002})
		for range 20 {
			v.wantReason("work/wwcorp/1/wwdown/access_token", credential.Refused)
			time.Sleep(time.Second)
		}
		v.get("work/wwcorp/1/wwother/access_token")
		if n := v.wechat.CallsFor(wechattest.DownstreamToken, "wwcorp/1/wwdown"); n != 1 {
			t.Errorf("%d calls in 20 s, want 1", n)
		}
		if n := v.wechat.Calls(wechattest.CorpToken); n != 1 {
			t.Errorf("%d calls for the app's token, want 1", n)
		}
	})
}

// TestFiveSegments: a name of five segments exists only for a configured downstream corp.
func TestFiveSegments(t *testing.T) {
	inVirtualTime(t, wechattest.Settings{}, downstreamTOML()+catalogtest.TOML, func(v *virtual) {
		v.wechat.AddApp("wwcorp", "1", "secret-1")
		v.get(downstreamName(1, 0))
		for _, name := range []string{
			downstreamName(1, 40), downstreamName(3, 0), "work/wwcorp/1/wwdown0/jsapi_ticket", "mini_program/wxa/a/b/access_token",
			"open_platform/wxcomponent/wxa/wxb/access_token", "open_platform/wxcomponent/wxa/wxb/refresh_token", "open_work/wwsuite1/wwa/wwb/permanent_code",
		} {
			v.wantReason(name, credential.NotFound)
			put := v.Put(context.Background(), name, "value")
			if e, ok := errors.AsType[*credential.Error](put); !ok || e.Reason != credential.NotFound {
				t.Errorf("PUT %s: got %v, want NOT_FOUND", name, put)
			}
		}
	})
}
