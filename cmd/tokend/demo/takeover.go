package demo

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"tokend/daemon/cluster"
	"tokend/fetchers/wechattest"
)

// The steps with the worst moment for a crash: WeChat has replaced a token and its refresh token,
// and the only host that could learn the new ones is gone.

// loss is a call whose answer no host has received.
type loss struct {
	host  *host
	at    time.Time     // when the host was killed
	asked int           // calls for the customer's token before the lost one
	old   string        // the customer's token before
	after time.Duration // from at to the next host's call
}

const (
	lostCustomer = "wxcustomer1"
	lostName     = customer1 + "/access_token"
	lostAccount  = platformID + "/" + lostCustomer // as WeChat counts it
)

// asked returns how many calls for the customer's token WeChat has received.
func (d *several) asked() int { return d.wechat.CallsFor(wechattest.AuthorizerToken, lostAccount) }

// first returns the host that comes first in the order of hosts for a credential.
func (d *several) first(name string) *host {
	var names []string
	for _, h := range d.hosts {
		names = append(names, h.name)
	}
	i := slices.IndexFunc(d.hosts, func(h *host) bool { return cluster.Rank(h.name, name, names) == 0 })
	return d.hosts[i]
}

// killCaller kills the host that refreshes the customer's token, once WeChat has replaced it.
func (d *several) killCaller(ctx context.Context) error {
	before := d.since()
	l := &d.loss
	l.host = d.first(lostName)
	d.begin("The calling host is killed while WeChat rotates", "主机正在调用、微信已更换令牌时被杀掉")
	d.say("%s refreshes the customer's token. WeChat replaces the token and the refresh token, but %s is killed before the",
		"%s 刷新客户的令牌。微信更换了令牌和刷新令牌，但 %s 没等到响应就被杀掉：", l.host.name, l.host.name)
	d.say("answer: it writes nothing more to its disk, reaches neither etcd nor its clients, and releases nothing.",
		"不再写磁盘，连不上 etcd 和客户端，登记也没有释放。")
	for _, h := range d.hosts {
		h.clients.begin(func(ctx context.Context) error { return d.readSteadily(ctx, h) })
	}
	if err := d.loseAnswer(ctx); err != nil {
		return err
	}
	newest := d.wechat.CurrentGrant(platformID, lostCustomer)
	unknown := !slices.ContainsFunc(d.alive(), func(h *host) bool { return h.grant(grantName(lostCustomer)) == newest })
	d.check(unknown, "WeChat's newest refresh token is on no host", "微信最新的刷新令牌，哪台主机都没有")
	values, err := d.readOnEach(ctx, lostName)
	d.check(err == nil && len(values) == 1 && values[0] == l.old && d.wechat.Valid(l.old),
		"clients of the other hosts still get the previous token, which WeChat accepts", "其他主机的客户端仍得到旧令牌，微信还接受")
	calls := d.calls() - before.calls
	d.check(calls == 1, "calls to WeChat: %d, without an answer", "调用微信 %d 次，没有得到响应", calls)
	d.cost(before)
	return nil
}

// loseAnswer makes the host refresh the customer's token, and kills it when WeChat has done so.
func (d *several) loseAnswer(ctx context.Context) (err error) {
	l := &d.loss
	c := l.host.newClient()
	defer c.Close()
	if l.old, err = d.get(ctx, c, lostName); err != nil {
		return err
	}
	l.asked = d.asked()
	before := d.wechat.CurrentGrant(platformID, lostCustomer)
	clear := d.wechat.Inject(wechattest.Fault{Endpoint: wechattest.AuthorizerToken, Account: lostAccount, Hang: true})
	defer clear()
	asking, hangUp := context.WithCancel(ctx)
	var operator sync.WaitGroup
	operator.Go(func() { _, err = c.Refresh(asking, lostName) })
	rotated := eventually(ctx, func() bool { return d.wechat.CurrentGrant(platformID, lostCustomer) != before })
	l.host.clients.end()
	l.at = time.Now()
	l.host.kill()
	hangUp()
	operator.Wait()
	if !rotated {
		return fmt.Errorf("%s does not refresh the customer's token: %w", l.host.name, err)
	}
	return nil
}

// readOnEach reads a credential on each host that is not down, and returns the different values.
func (d *several) readOnEach(ctx context.Context, name string) ([]string, error) {
	var values []string
	for _, h := range d.alive() {
		c := h.newClient()
		v, err := d.get(ctx, c, name)
		_ = c.Close()
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	slices.Sort(values)
	return slices.Compact(values), nil
}

// takeOver shows that the next host repeats the lost call in time.
func (d *several) takeOver(ctx context.Context) error {
	const limit = ttl + time.Second
	l := &d.loss
	d.begin("The next host takes over", "下一台主机接管")
	d.say("etcd ends the session of %s within %d s. Until then its claim holds, and no other host calls. Then the next host calls",
		"etcd 在 %[2]d 秒内结束 %[1]s 的会话。在此之前登记仍然有效，其他主机不调用；之后由下一台主机调用，", l.host.name, ttl/time.Second)
	d.say("with the previous refresh token, which WeChat still accepts.", "用的是旧的刷新令牌，微信还接受。")
	before, err := d.account(ctx)
	if err != nil {
		return err
	}
	called := within(ctx, limit+soon, func() bool { return d.asked() > l.asked+1 })
	l.after = time.Since(l.at)
	d.check(called && l.after <= limit, "the next call comes %.1f s after the kill (limit: %d s)", "被杀掉 %.1f 秒后，下一次调用发出（上限 %d 秒）",
		l.after.Seconds(), limit/time.Second)
	var values []string
	renewed := eventually(ctx, func() bool {
		values, err = d.readOnEach(ctx, lostName)
		return err == nil && len(values) == 1 && values[0] != l.old
	})
	d.check(renewed && d.newest(values[0]), "all %d running hosts serve the same new token", "正在运行的 %d 台主机都提供同一个新令牌", len(d.alive()))
	d.check(eventually(ctx, func() bool { return d.lost() == 0 }), "no grant is lost: every running host has stored WeChat's newest refresh token",
		"没有丢失授权：正在运行的每台主机都已保存微信最新的刷新令牌")
	calls := d.calls() - before.calls
	d.check(calls == 1, "calls to WeChat: %d", "调用微信 %d 次", calls)
	return d.settle(ctx, before)
}

// catchUp shows that the killed host gets everything that it has missed without a call.
func (d *several) catchUp(ctx context.Context) error {
	l := &d.loss
	d.begin("The killed host starts again and catches up", "被杀掉的主机重新启动，补上错过的变化")
	began := time.Now()
	if err := l.host.start(ctx); err != nil {
		return err
	}
	before, err := d.account(ctx)
	if err != nil {
		return err
	}
	same := eventually(ctx, func() bool { return d.lost() == 0 && d.allNewest(ctx) })
	d.check(same, "%d ms after the start, all %d hosts have WeChat's newest values and refresh tokens", "启动 %d 毫秒后，%d 台主机的值和刷新令牌都是微信最新的",
		time.Since(began).Milliseconds(), len(d.alive()))
	calls := d.calls() - before.calls
	d.check(calls == 0, "calls to WeChat: %d", "调用微信 %d 次", calls)
	total := d.asked() - l.asked
	d.check(total == 2, "WeChat saw the call whose answer was lost, and one more: %d in total", "微信收到丢失响应的那次调用，此后只多一次：共 %d 次", total)
	l.host.clients.begin(func(ctx context.Context) error { return d.readSteadily(ctx, l.host) })
	time.Sleep(answerTime)
	for _, h := range d.hosts {
		h.clients.end()
	}
	s := &d.seen
	d.check(s.reads > 0 && s.errors == 0 && s.dead == 0, "since step 3, clients of the running hosts have read %s times: errors: %d, dead values: %d",
		"从第 3 步起，正在运行的主机上的客户端读取 %s 次：错误 %d 次，失效的值 %d 个", grouped(s.reads), s.errors, s.dead)
	return d.settle(ctx, before)
}

// allNewest reports whether every host serves WeChat's newest value of every credential.
func (d *several) allNewest(ctx context.Context) bool {
	for _, name := range d.names {
		values, err := d.readOnEach(ctx, name)
		if err != nil || len(values) != 1 || !d.newest(values[0]) {
			return false
		}
	}
	return true
}

// sum prints the totals.
func (d *several) sum(context.Context) error {
	defer d.outside()()
	calls := d.calls() - d.opened.calls
	d.say("", "")
	d.say("In %.1f s on %d hosts, %s reads and %s rejects:", "%.1f 秒内，%d 台主机上共读取 %s 次、退回 %s 次：",
		time.Since(d.began).Seconds(), len(d.hosts), grouped(d.reads.Load()), grouped(d.rejects.Load()))
	d.say("  calls to WeChat: %d", "  调用微信：%d 次", calls)
	d.say("  transactions in etcd per refresh: %.1f", "  每次刷新的 etcd 事务：%.1f 次", float64(d.writes.Load()-d.written)/float64(calls))
	d.say("  time from the kill to the next host's call: %.1f s", "  从杀掉到下一台主机调用：%.1f 秒", d.loss.after.Seconds())
	d.say("  longest time without a valid value: %d ms", "  没有有效值的最长时间：%d 毫秒", d.seen.longest.Milliseconds())
	d.say("  dead values served: %d", "  提供的失效的值：%d 个", d.seen.dead)
	d.say("  grants lost: %d", "  丢失的授权：%d 个", d.lost())
	if d.failed == 0 {
		d.say("All %d checks passed.", "%d 项检查全部通过。", d.checked)
	}
	return nil
}
