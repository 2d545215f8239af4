package demo

import (
	"context"
	"errors"

	"tokend/clientlib"
)

// corps are the customers of a suite and of a template of custom-developed apps. One corp uses
// both.
func corps() []struct{ suite, corp string } {
	return []struct{ suite, corp string }{
		{"wwsandboxsuite", "wwcorp1"},
		{"wwsandboxsuite", "wwcorp2"},
		{"dksandboxtemplate", "wwcorp1"},
	}
}

// corpsInstall shows authorizations in WeCom.
func (d *demo) corpsInstall(ctx context.Context) error {
	s := d.customers
	c := s.client()
	defer c.Close()
	before := d.since()
	d.begin("Corps install a suite of WeCom", "企业安装企业微信服务商的套件")
	_, waiting := d.get(ctx, c, "open_work/wwsandboxsuite/suite_access_token")
	d.check(errors.Is(waiting, clientlib.ErrWaiting), "before a suite_ticket arrives: WAITING and the seconds to wait", "还没有收到 suite_ticket：返回 WAITING 和重试秒数")
	watch, err := c.Watch(ctx, "open_work/")
	if err != nil {
		return err
	}
	defer watch.Close()
	ok := true
	for _, suite := range []string{"wwsandboxsuite", "dksandboxtemplate"} {
		ok = ok && s.wechat.Send(ctx, suite, s.wechat.TicketPush(suite)).Err == nil
	}
	for _, i := range corps() {
		s.wechat.Authorize(i.suite, i.corp)
	}
	_, delivered := s.deliver(ctx)
	d.check(ok && delivered, "two tickets and three authorizations are pushed, and answered \"success\"", "推送两个 ticket、三次授权，都返回 success")

	if err := grants(ctx, watch, len(corps())); err != nil {
		return err
	}
	var values []string
	valid := 0
	for _, i := range corps() {
		v, err := d.get(ctx, c, "open_work/"+i.suite+"/"+i.corp+"/access_token")
		if err != nil {
			return err
		}
		if s.wechat.Valid(v) {
			valid++
		}
		values = append(values, v)
	}
	calls := d.calls() - before.calls
	d.check(distinct(values) && valid == len(values), "%d corp tokens; a corp in two suites has separate tokens", "%d 个企业的令牌；同一企业安装了两个套件，互不混淆", valid)
	d.check(calls == 8, "calls to WeChat: %d (2 suite tokens, 3 permanent codes, 3 corp tokens)", "调用微信 %d 次（2 个套件令牌，3 个永久授权码，3 个企业令牌）", calls)
	d.cost(before)
	return nil
}

// otherCustomers reads the tokens of all customers except the platform's first.
func (d *demo) otherCustomers(ctx context.Context, c *clientlib.Client) ([]string, error) {
	names := []string{customer2 + "/access_token"}
	for _, i := range corps() {
		names = append(names, "open_work/"+i.suite+"/"+i.corp+"/access_token")
	}
	var values []string
	for _, name := range names {
		v, err := d.get(ctx, c, name)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}
