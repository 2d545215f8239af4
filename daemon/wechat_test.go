package daemon

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/config"
	"tokend/daemon/refresh"
	"tokend/daemon/store/memstore"
	"tokend/fetchers/secret"
	"tokend/fetchers/wechattest"
)

// virtual is the engine with the catalog of a configuration and a WeChat beside it, without a
// socket or a disk, so that hours pass in virtual time.
type virtual struct {
	*refresh.Engine
	t      *testing.T
	wechat *wechattest.WeChat
}

// inVirtualTime runs f in a bubble. The WeChat accepts every account of the configuration, and has
// the platform and a suite of ownersTOML.
func inVirtualTime(t *testing.T, settings wechattest.Settings, accounts string, f func(v *virtual)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		file, err := config.Parse("test.toml", []byte(accounts), config.OSEnv())
		if err != nil {
			t.Fatal(err)
		}
		settings.Register = true
		v := &virtual{t: t, wechat: wechattest.New(settings)}
		v.wechat.AddPlatform("wxcomponent", "component-secret", "component-signs", aesKey1)
		v.wechat.AddProvider("wwprovider", "provider-secret")
		v.wechat.AddSuite("wwprovider", "wwsuite1", "suite1-secret", "suite1-signs", aesKey2)
		up := newUpstream(file.Upstream, newCalls(), hclog.NewNullLogger())
		up.weixin.Transport, up.work.Transport = v.wechat.Transport(), v.wechat.Transport()
		v.Engine, err = refresh.New(refresh.Config{Store: new(memstore.Store), Catalog: newCatalog(file, up), Timeout: callLimit})
		if err != nil {
			t.Fatal(err)
		}
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

// customer has the platform or suite get its ticket and a customer, whose path it returns.
func (v *virtual) customer(path, ticket, id, child, grant string) string {
	v.t.Helper()
	if err := v.Push(context.Background(), path+"/"+ticket, secret.Text(v.wechat.TicketPush(id).Event.Ticket), time.Now()); err != nil {
		v.t.Fatal(err)
	}
	if err := v.Put(context.Background(), path+"/"+child+"/"+grant, secret.Text(v.wechat.AddCustomer(id, child))); err != nil {
		v.t.Fatal(err)
	}
	return path + "/" + child
}

// TestSDKTicket: an sdk_ticket is fetched, refreshed, listed, and repaired after its parent died;
// of an account, and of a platform's customer.
func TestSDKTicket(t *testing.T) {
	const accounts = "[[official_account]]\napp_id = \"wxoa\"\nsecret = \"oa-secret\"\n" + ownersTOML
	for name, account := range map[string]func(v *virtual) (path, id string){
		"account": func(*virtual) (string, string) { return "official_account/wxoa", "wxoa" },
		"customer": func(v *virtual) (string, string) {
			return v.customer("open_platform/wxcomponent", "component_verify_ticket", "wxcomponent", "wxcustomer", "refresh_token"), "wxcomponent/wxcustomer"
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
					t.Errorf("values in 8.5 h: got %d, want one for each 2 h", n)
				}
				states := map[string]refresh.State{}
				_, list := v.List(path, func(string) bool { return true })
				for l := range list {
					states[l.Name] = l.State
				}
				if states[ticket] != refresh.Fresh {
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
					t.Errorf("calls after the parent's death: got %d, want a refused one and another", n)
				}
			})
		})
	}
}

// TestTicketQuotas: the types of an account's tickets are limited apart.
func TestTicketQuotas(t *testing.T) {
	settings := wechattest.Settings{Limits: wechattest.Limits{AccountTicketsPerDay: 3}}
	inVirtualTime(t, settings, accountsTOML, func(v *virtual) {
		words := []string{"jsapi_ticket", "wx_card_ticket", "sdk_ticket"}
		for i, word := range words {
			name := "official_account/wxoa/" + word
			for range 3 {
				if _, err := v.Refresh(context.Background(), name); err != nil {
					t.Errorf("%s, with the quotas of %v spent: %v", word, words[:i], err)
				}
			}
			_, err := v.Refresh(context.Background(), name)
			if e, ok := errors.AsType[*refresh.Error](err); !ok || e.Reason != refresh.Limited {
				t.Errorf("%s beyond its quota: got %v, want LIMITED", word, err)
			}
			v.get(name) // which WeChat's refusal does not end
		}
	})
}
