package demo

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"tokend/clientlib"
	"tokend/fetchers/wechattest"
)

// The steps with a third-party platform and its customers, on an instance of their own to which
// WeChat pushes.

const (
	platformID = "wxsandboxplatform"
	platform   = "open_platform/" + platformID
	customer1  = platform + "/wxcustomer1"
	customer2  = platform + "/wxcustomer2"
)

// installed shows the authorization of a platform's customer.
func (d *demo) installed(ctx context.Context) (err error) {
	if d.customers, err = newPlatform(d.program, d.dir+"/c"); err != nil {
		return err
	}
	s := d.customers
	if err := s.enter(ctx); err != nil {
		return err
	}
	c := s.client()
	defer c.Close()
	before := d.since()
	d.begin("A customer authorizes a third-party platform", "客户授权给第三方平台")
	d.say("A platform cannot fetch everything. WeChat pushes a ticket every ten minutes, and the authorizations of", "第三方平台有些东西不能主动获取：微信每 10 分钟推送一次 ticket，客户授权时推送事件，")
	d.say("customers, signed and encrypted, to a URL. Here tokend receives them itself, at http://%s/callback/", "都经过签名和加密。这里由 tokend 自己接收：http://%s/callback/", s.conf.HTTP)

	ticket := s.wechat.Send(ctx, platformID, s.wechat.TicketPush(platformID))
	calls := d.calls() - before.calls
	d.check(ticket.Err == nil && calls == 0, "component_verify_ticket: answered \"success\" after %.1f ms; the push alone fetches nothing: %d calls",
		"component_verify_ticket：%.1f 毫秒后返回 success；推送本身不产生调用：%d 次", milliseconds(ticket.Took), calls)
	s.wechat.Authorize(platformID, "wxcustomer1")
	took, ok := s.deliver(ctx)
	d.check(ok, "authorized: answered \"success\" after %.1f ms, then exchanged for the grant", "授权事件：%.1f 毫秒后返回 success，然后才换取授权凭证", milliseconds(took))
	if err := s.arrives(ctx, c, customer1+"/access_token"); err != nil {
		return err
	}

	got := make([]string, programs)
	err = d.concurrently(ctx, s.conf.Socket(), programs, func(ctx context.Context, i int, c *clientlib.Client) (err error) {
		got[i], err = d.get(ctx, c, customer1+"/access_token")
		return err
	})
	if err != nil {
		return err
	}
	calls = d.calls() - before.calls
	same := len(slices.Compact(slices.Clone(got))) == 1
	d.check(same && s.wechat.Valid(got[0]) && calls == 2, "%d programs have the customer's token, which WeChat accepts: %d calls, the component's token and the code",
		"%d 个程序都得到客户的令牌，微信接受：共 %d 次调用（平台令牌一次，授权码一次）", programs, calls)
	if err := d.signs(ctx, c); err != nil {
		return err
	}
	_, refused := d.get(ctx, c, customer1+"/refresh_token")
	d.check(errors.Is(refused, clientlib.ErrDenied), "the refresh token is stored and used, but never shown: DENIED", "刷新令牌只保存、只使用，谁也读不到：DENIED")
	d.cost(before)
	return nil
}

// signs checks a signature that tokend makes with the customer's ticket.
func (d *demo) signs(ctx context.Context, c *clientlib.Client) error {
	const page, ticket = "https://customer.example/page?a=b", customer1 + "/jsapi_ticket"
	sig, err := c.Sign(ctx, ticket, page)
	if err != nil {
		return err
	}
	value, err := d.get(ctx, c, ticket)
	if err != nil {
		return err
	}
	// The algorithm of WeChat's JS-SDK page.
	sum := sha1.Sum(fmt.Appendf(nil, "jsapi_ticket=%s&noncestr=%s&timestamp=%d&url=%s", value, sig.Nonce, sig.Timestamp, page))
	d.check(sig.Signature == hex.EncodeToString(sum[:]), "tokend signs the customer's page with the customer's jsapi_ticket (SIGN)", "用该客户的 jsapi_ticket 为页面签名（SIGN），结果正确")
	return nil
}

// killedAuthorizing kills the daemon between WeChat's push and the exchange of the code.
func (d *demo) killedAuthorizing(ctx context.Context) error {
	s := d.customers
	before := d.since()
	d.begin("kill -9 during an authorization", "客户授权到一半时 kill -9")
	c := s.client()
	defer c.Close()
	first, err := d.get(ctx, c, customer1+"/access_token")
	if err != nil {
		return err
	}
	clear := s.wechat.Inject(wechattest.Fault{Endpoint: wechattest.QueryAuth, Delay: patience})
	asked := s.wechat.Calls(wechattest.QueryAuth)
	s.wechat.Authorize(platformID, "wxcustomer2")
	took, ok := s.deliver(ctx)
	for end := time.Now().Add(soon); s.wechat.Calls(wechattest.QueryAuth) == asked && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	s.daemon.kill()
	s.daemon = nil
	clear()
	d.check(ok, "another customer: \"success\" after %.1f ms, although the exchange of the code hangs; then the daemon is killed", "又一个客户授权：换取授权凭证的调用卡住，仍在 %.1f 毫秒后返回 success；随即杀掉守护进程", milliseconds(took))
	restarted := time.Now()
	if err := s.enter(ctx); err != nil {
		return err
	}
	err = s.arrives(ctx, c, customer2+"/access_token")
	took = time.Since(restarted)
	second := ""
	if err == nil {
		second, err = d.get(ctx, c, customer2+"/access_token")
	}
	d.check(err == nil && s.wechat.Valid(second), "%d ms after the restart the customer is authorized: the code was durable before the \"success\"",
		"重新启动后 %d 毫秒，该客户授权完成：授权码在返回 success 之前已落盘", took.Milliseconds())
	again, err := d.get(ctx, c, customer1+"/access_token")
	d.check(err == nil && again == first, "the first customer's token is the same as before", "第一个客户的令牌与之前相同")
	d.cost(before)
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
