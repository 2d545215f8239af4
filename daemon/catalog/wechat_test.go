package catalog

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/catalog/catalogtest"
	"tokend/daemon/config"
	"tokend/daemon/credential"
	"tokend/daemon/inbox"
	"tokend/daemon/refresh"
	"tokend/daemon/store/memstore"
	"tokend/daemon/web"
	"tokend/fetchers/wechattest"
)

// virtual is the engine with the catalog of a configuration, and a fake WeChat that pushes to the
// callback handler. It has no socket and no disk, so that it runs in virtual time.
type virtual struct {
	*refresh.Engine
	t      *testing.T
	wechat *wechattest.WeChat
}

// inVirtualTime runs f in a synctest bubble. The fake WeChat accepts every account of the
// configuration, and has the platform and the suites of catalogtest.TOML.
func inVirtualTime(t *testing.T, settings wechattest.Settings, accounts string, f func(v *virtual)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		file, err := config.Parse("test.toml", []byte(accounts), config.OSEnv())
		if err != nil {
			t.Fatal(err)
		}
		var callbacks http.Handler
		settings.Register = true
		settings.PushTransport = wechattest.HandlerTransport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { callbacks.ServeHTTP(w, r) }))
		v := &virtual{t: t, wechat: wechattest.New(settings)}
		catalogtest.AddOwners(v.wechat, "http://tokend/callback/")
		up := NewUpstream(file.Upstream, file.Limits.UpstreamCalls, NewCalls(), hclog.NewNullLogger())
		up.weixin.Transport, up.work.Transport = v.wechat.Transport(), v.wechat.Transport()
		v.Engine, err = refresh.New(refresh.Config{Store: new(memstore.Store), Catalog: New(file, up, nil), Hosts: Hosts(func() *Upstream { return up }), Timeout: CallLimit})
		if err != nil {
			t.Fatal(err)
		}
		pushed, err := Owners(file)
		if err != nil {
			t.Fatal(err)
		}
		in := inbox.New(inbox.Config{Engine: v.Engine})
		in.SetOwners(pushed)
		callbacks = web.New(web.Config{Inbox: in})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- v.Run(ctx) }()
		defer func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run: %v", err)
			}
		}()
		f(v)
	})
}

// get reads name, whose value WeChat must accept.
func (v *virtual) get(name string) string {
	v.t.Helper()
	c, err := v.Get(context.Background(), name)
	if err != nil {
		v.t.Fatalf("GET %s: %v", name, err)
	}
	if !v.wechat.Valid(string(c.Text)) {
		v.t.Fatalf("GET %s: WeChat does not accept the value", name)
	}
	return string(c.Text)
}

// wantReason checks that GET fails with the reason want.
func (v *virtual) wantReason(name string, want credential.Reason) {
	v.t.Helper()
	_, err := v.Get(context.Background(), name)
	if e, ok := errors.AsType[*credential.Error](err); !ok || e.Reason != want {
		v.t.Errorf("GET %s: got %v, want %s", name, err, want)
	}
}

// pushTicket pushes the ticket of a platform or suite.
func (v *virtual) pushTicket(id string) {
	v.t.Helper()
	if d := v.wechat.Send(context.Background(), id, v.wechat.TicketPush(id)); d.Err != nil {
		v.t.Fatalf("push of a ticket to %s: answered %d %q, %v", id, d.Status, d.Body, d.Err)
	}
}

// pushEvents pushes all pending events, and returns when the daemon has acted on them.
func (v *virtual) pushEvents() {
	v.t.Helper()
	before := len(v.wechat.Deliveries())
	v.wechat.Flush(context.Background())
	for _, d := range v.wechat.Deliveries()[before:] {
		if d.Err != nil {
			v.t.Errorf("push of %s to %s: answered %d %q, %v", d.Kind, d.Owner, d.Status, d.Body, d.Err)
		}
	}
	time.Sleep(5 * time.Second)
}

// TestSDKTicket: an sdk_ticket of an account, or of a platform's customer, is fetched, refreshed,
// listed, and repaired after its parent died.
func TestSDKTicket(t *testing.T) {
	const accounts = "[[official_account]]\napp_id = \"wxoa\"\nsecret = \"oa-secret\"\n" + catalogtest.TOML
	for name, account := range map[string]func(v *virtual) (path, id string){
		"account": func(*virtual) (string, string) { return "official_account/wxoa", "wxoa" },
		"customer": func(v *virtual) (string, string) {
			v.pushTicket("wxcomponent")
			v.wechat.Authorize("wxcomponent", "wxcustomer")
			v.pushEvents()
			return "open_platform/wxcomponent/wxcustomer", "wxcomponent/wxcustomer"
		},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, wechattest.Settings{}, accounts, func(v *virtual) {
				path, id := account(v)
				ticket, token := path+"/sdk_ticket", path+"/access_token"
				values := map[string]bool{}
				for range 8*60 + 30 {
					values[v.get(ticket)] = true
					time.Sleep(time.Minute)
				}
				if n := len(values); n < 5 {
					t.Errorf("values in 8.5 h: got %d, want one every 2 h", n)
				}
				states := map[string]credential.State{}
				_, list := v.List(nil, path, func(string) bool { return true })
				for l := range list {
					states[l.Name] = l.State
				}
				if states[ticket] != credential.Fresh {
					t.Errorf("LIST: got %v for the ticket in %v", states[ticket], states)
				}

				dead := v.get(token)
				v.wechat.Kill(dead)
				v.wechat.Kill(v.get(ticket))
				calls := v.wechat.CallsFor(wechattest.Ticket, id)
				if _, err := v.Refresh(context.Background(), ticket); err != nil {
					t.Fatalf("after the parent's death: %v", err)
				}
				if v.get(token) == dead {
					t.Error("the dead parent is still served")
				}
				v.get(ticket)
				if n := v.wechat.CallsFor(wechattest.Ticket, id) - calls; n != 2 {
					t.Errorf("calls after the parent's death: got %d, want a refused call and a retry", n)
				}
			})
		})
	}
}

// TestOtherAccounts: other types of accounts with the same token endpoint are configured as a mini
// program. WeCom's other secrets are configured with a word as agent_id. No two share a value.
func TestOtherAccounts(t *testing.T) {
	var accounts strings.Builder
	var names []string
	for _, id := range []string{"wx0shop", "wx1minigame", "wx2mobileapp", "wx3websiteapp"} {
		fmt.Fprintf(&accounts, "[[mini_program]]\napp_id = %q\nsecret = \"secret-of-%[1]s\"\n", id)
		names = append(names, "mini_program/"+id+"/access_token")
	}
	for _, word := range []string{"1000002", "contacts", "message_archive", "customer-service", "approval"} {
		fmt.Fprintf(&accounts, "[[work]]\ncorp_id = \"wwcorp\"\nagent_id = %q\nsecret = \"secret-of-%[1]s\"\n", word)
		names = append(names, "work/wwcorp/"+word+"/access_token")
	}
	inVirtualTime(t, wechattest.Settings{}, accounts.String(), func(v *virtual) {
		whose := map[string]string{}
		for range 2 {
			for _, name := range names {
				value := v.get(name)
				if other, ok := whose[value]; ok && other != name {
					t.Errorf("%s and %s share a value", name, other)
				}
				whose[value] = name
			}
		}
		if n := v.wechat.Total(); n != len(names) {
			t.Errorf("calls: got %d, want one for each of %d", n, len(names))
		}
	})
}

// TestTicketQuotas: each type of an account's tickets has its own budget.
func TestTicketQuotas(t *testing.T) {
	settings := wechattest.Settings{Limits: wechattest.Limits{AccountTicketsPerDay: 3}}
	inVirtualTime(t, settings, "[[official_account]]\napp_id = \"wxoa\"\nsecret = \"secret\"\n", func(v *virtual) {
		words := []string{"jsapi_ticket", "wx_card_ticket", "sdk_ticket"}
		for i, word := range words {
			name := "official_account/wxoa/" + word
			for range 3 {
				if _, err := v.Refresh(context.Background(), name); err != nil {
					t.Errorf("%s, with the quotas of %v spent: %v", word, words[:i], err)
				}
			}
			_, err := v.Refresh(context.Background(), name)
			if e, ok := errors.AsType[*credential.Error](err); !ok || e.Reason != credential.Limited {
				t.Errorf("%s beyond its quota: got %v, want LIMITED", word, err)
			}
			v.get(name) // WeChat's refusal does not invalidate the value
		}
	})
}

// TestExpiredWorkToken: WeCom answers an expired access token with an errcode for "expired" or for
// "invalid". In both cases tokend fetches the token once, and then the ticket.
func TestExpiredWorkToken(t *testing.T) {
	const accounts = "[[work]]\ncorp_id = \"wwcorp\"\nagent_id = \"1\"\nsecret = \"app-secret\"\n" + catalogtest.TOML
	for _, invalid := range []bool{false, true} {
		for path, endpoint := range map[string]string{
			"work/wwcorp/1":                 wechattest.CorpToken,
			"open_work/dktemplate/wwcorp1":  wechattest.CorpToken,
			"open_work/wwsuite1/wwcustomer": wechattest.AuthCorpToken,
		} {
			t.Run(fmt.Sprintf("%s,invalid=%t", strings.ReplaceAll(path, "/", "_"), invalid), func(t *testing.T) {
				var mu sync.Mutex
				var refused []int
				settings := wechattest.Settings{ExpiredIsInvalid: invalid, OnCall: func(c wechattest.Call) {
					mu.Lock()
					defer mu.Unlock()
					if c.ErrCode != 0 {
						refused = append(refused, c.ErrCode)
					}
				}}
				inVirtualTime(t, settings, accounts, func(v *virtual) {
					for owner, corp := range map[string]string{"dktemplate": "wwcorp1", "wwsuite1": "wwcustomer"} {
						v.pushTicket(owner)
						v.wechat.Authorize(owner, corp)
						v.pushEvents()
					}
					// WeCom promises three hours, and the token expires after two.
					clearFault := v.wechat.Inject(wechattest.Fault{Endpoint: endpoint, ExpiresIn: "10800"})
					first := v.get(path + "/access_token")
					for range 12 {
						v.pushTicket("wwsuite1")
						time.Sleep(10 * time.Minute)
					}
					time.Sleep(time.Minute)
					clearFault()
					calls := v.wechat.Calls(endpoint)
					mu.Lock()
					refused = nil
					mu.Unlock()
					v.get(path + "/jsapi_ticket")
					if n := v.wechat.Calls(endpoint) - calls; n != 1 {
						t.Errorf("calls for the token: got %d, want 1", n)
					}
					v.get(path + "/agent_config_ticket")
					if v.get(path+"/access_token") == first {
						t.Error("the expired token is still served")
					}
					want := 42001
					if invalid {
						want = 40014
					}
					mu.Lock()
					defer mu.Unlock()
					if !slices.Equal(refused, []int{want}) {
						t.Errorf("refusals: got %v, want one of %d", refused, want)
					}
				})
			})
		}
	}
}

// TestShuffledEvents: every event of a suite and of a platform has its effect, whatever the order
// of its elements.
func TestShuffledEvents(t *testing.T) {
	for seed := range uint64(3) {
		inVirtualTime(t, wechattest.Settings{Seed: seed + 1}, catalogtest.TOML, func(v *virtual) {
			grants := map[string]string{"wxcomponent": "open_platform/wxcomponent", "wwsuite1": "open_work/wwsuite1", "dktemplate": "open_work/dktemplate"}
			var children []string
			for i := range 8 {
				children = append(children, fmt.Sprint("wwcorp", i))
			}
			each := func(f func(id, child, token string)) {
				for id, path := range grants {
					for _, child := range children {
						f(id, child, path+"/"+child+"/access_token")
					}
				}
				v.pushEvents()
			}
			for id := range grants {
				v.wechat.SetQuirks(id, wechattest.Quirks{Shuffled: true})
				v.pushTicket(id)
			}
			each(func(id, child, _ string) { v.wechat.Authorize(id, child) }) // authorized, create_auth
			each(func(_, _, token string) { v.get(token) })
			each(func(id, child, _ string) { v.wechat.UpdateAuthorized(id, child) }) // updateauthorized, change_auth
			each(func(_, _, token string) { v.get(token) })
			each(func(id, child, _ string) {
				if id == "dktemplate" {
					v.wechat.ResetPermanentCode(id, child)
				}
			})
			if n := v.wechat.Calls(wechattest.PermanentCode); n != 2*len(children) {
				t.Errorf("codes of the template exchanged: got %d, want two for each corp", n)
			}
			each(func(id, _, token string) {
				v.get(token)
				v.wechat.QueueEvent(id, wechattest.Event{Kind: "change_contact"})
			})
			each(func(id, child, _ string) { v.wechat.Unauthorize(id, child) }) // unauthorized, cancel_auth
			each(func(_, _, token string) { v.wantReason(token, credential.Reauth) })
			if n := len(v.wechat.Deliveries()); n != 3+8*(3+3+1+3+3) {
				t.Errorf("%d pushes", n)
			}
		})
	}
}

// TestNoTokens: the code of an account without API permissions is exchanged once, and does not
// affect a stored grant.
func TestNoTokens(t *testing.T) {
	inVirtualTime(t, wechattest.Settings{}, catalogtest.TOML, func(v *virtual) {
		const path = "open_platform/wxcomponent/"
		v.pushTicket("wxcomponent")
		v.wechat.Authorize("wxcomponent", "wxgranted")
		v.pushEvents()
		v.get(path + "wxgranted/access_token")
		asked := v.wechat.Calls(wechattest.QueryAuth)
		clear := v.wechat.Inject(wechattest.Fault{Endpoint: wechattest.QueryAuth, NoTokens: true})
		v.wechat.UpdateAuthorized("wxcomponent", "wxgranted")
		v.wechat.Authorize("wxcomponent", "wxdenied")
		v.pushEvents()
		time.Sleep(2 * time.Hour)
		if n := v.wechat.Calls(wechattest.QueryAuth) - asked; n != 2 {
			t.Errorf("calls for two codes: got %d, want 2", n)
		}
		v.wantReason(path+"wxdenied/access_token", credential.Reauth)
		v.pushTicket("wxcomponent")
		v.get(path + "wxgranted/access_token")
		clear()
		v.wechat.Authorize("wxcomponent", "wxdenied")
		v.pushEvents()
		v.get(path + "wxdenied/access_token")
	})
}
