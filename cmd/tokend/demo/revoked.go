package demo

import (
	"context"
	"errors"
	"slices"
	"time"

	"tokend/clientlib"
)

// nextSecond is the distance that WeChat's events need: their time stamps are whole seconds.
const nextSecond = 1100 * time.Millisecond

// revoked shows the end of an authorization and a new one.
func (d *demo) revoked(ctx context.Context) error {
	s := d.customers
	c := s.client()
	defer c.Close()
	before := d.since()
	d.begin("A customer revokes the authorization, then authorizes again", "客户取消授权，后来又重新授权")
	old, err := d.get(ctx, c, customer1+"/access_token")
	if err != nil {
		return err
	}
	others, err := d.otherCustomers(ctx, c)
	if err != nil {
		return err
	}
	time.Sleep(nextSecond)
	s.wechat.Unauthorize(platformID, "wxcustomer1")
	_, ok := s.deliver(ctx)

	refusals := make([]error, rejecters)
	err = d.concurrently(ctx, s.conf.Socket(), rejecters, func(ctx context.Context, i int, c *clientlib.Client) error {
		_, refusals[i] = d.get(ctx, c, customer1+"/"+[]string{"access_token", "jsapi_ticket"}[i%2])
		return nil
	})
	if err != nil {
		return err
	}
	refused := 0
	for _, err := range refusals {
		if errors.Is(err, clientlib.ErrReauth) {
			refused++
		}
	}
	calls := d.calls() - before.calls
	d.check(ok && refused == rejecters && calls == 0, "right after WeChat's push, %d programs get REAUTH: the customer's token and tickets are deleted, %d calls",
		"微信推送取消授权之后，%d 个程序立即得到 REAUTH：该客户的令牌和 ticket 都已删除，调用 %d 次", refused, calls)
	left, err := d.otherCustomers(ctx, c)
	d.check(err == nil && slices.Equal(left, others), "%d other customers are not affected", "另外 %d 个客户不受影响", len(left))

	time.Sleep(nextSecond)
	s.wechat.Authorize(platformID, "wxcustomer1")
	_, ok = s.deliver(ctx)
	if err := s.arrives(ctx, c, customer1+"/access_token"); err != nil {
		return err
	}
	returned, err := d.get(ctx, c, customer1+"/access_token")
	calls = d.calls() - before.calls
	d.check(ok && err == nil && returned != old && s.wechat.Valid(returned) && calls == 1, "the new authorization works at once, with a new token: %d call", "重新授权后立即可用，令牌是新的：调用 %d 次", calls)
	d.cost(before)
	return nil
}
