package demo

import (
	"context"
	"slices"
	"time"

	"tokend/clientlib"
	"tokend/fetchers/wechattest"
)

// The steps in which clients of all hosts do the same at the same time.

const (
	readersPerHost   = 10
	rejectersPerHost = 40

	// answerTime is how long WeChat takes to answer. All clients have sent their requests by then.
	answerTime = 100 * time.Millisecond
)

// readEverywhere shows that all hosts together fetch each credential once.
func (d *several) readEverywhere(ctx context.Context) error {
	d.begin("Clients read every credential on all hosts at once", "所有主机上的客户端同时读取全部凭据")
	d.say("All caches are empty. On each host, %d clients request all %d credentials at the same time, and WeChat takes 0.1 s:",
		"所有缓存都是空的。每台主机上有 %d 个客户端同时请求全部 %d 个凭据，而微信每次要 0.1 秒才响应：", readersPerHost, len(d.names))
	d.say("official accounts, a mini program, apps of corps, a provider, a third-party platform and its customers.",
		"公众号、小程序、企业应用、服务商、第三方平台及其客户。")
	before, err := d.account(ctx)
	if err != nil {
		return err
	}
	quick := d.wechat.Inject(wechattest.Fault{Delay: answerTime})
	got := make([][]string, readersPerHost*len(d.hosts))
	err = d.everywhere(ctx, readersPerHost, func(ctx context.Context, i int, c *clientlib.Client) (err error) {
		got[i] = make([]string, len(d.names))
		for k := range d.names {
			n := (i + k) % len(d.names) // each begins with another name
			if got[i][n], err = d.get(ctx, c, d.names[n]); err != nil {
				return err
			}
		}
		return nil
	})
	quick()
	if err != nil {
		return err
	}
	first := got[0]
	d.check(!slices.ContainsFunc(got, func(g []string) bool { return !slices.Equal(g, first) }),
		"all %d clients on %d hosts got the same values", "%[2]d 台主机上的 %[1]d 个客户端得到的值完全相同", len(got), len(d.hosts))
	d.check(!slices.ContainsFunc(first, func(v string) bool { return !d.wechat.Valid(v) }), "WeChat accepts every value", "每个值微信都接受")
	calls := d.calls() - before.calls
	d.check(calls == len(d.names), "%d calls, one for each credential; separate daemons would make %d or more",
		"共 %d 次调用，每个凭据一次；互不知情的守护进程至少要 %d 次", calls, len(d.names)*len(d.hosts))
	return d.settle(ctx, before)
}

// rejectEverywhere shows that all hosts together replace a rejected value once.
func (d *several) rejectEverywhere(ctx context.Context) error {
	const name = customer1 + "/access_token"
	d.begin("Clients reject the same value on all hosts at once", "所有主机上的客户端同时退回同一个值")
	d.say("WeChat invalidates a customer's token early. On each host, it refuses %d clients, and all reject the token (REJECT).",
		"微信提前作废了一个客户的令牌。每台主机上有 %d 个客户端被微信拒绝，同时把令牌退回（REJECT）。", rejectersPerHost)
	before, err := d.account(ctx)
	if err != nil {
		return err
	}
	c := d.hosts[0].newClient()
	defer c.Close()
	dead, err := d.get(ctx, c, name)
	if err != nil {
		return err
	}
	d.wechat.Kill(dead)
	slow := d.wechat.Inject(wechattest.Fault{Delay: answerTime})
	once, err := d.rejectAll(ctx, name, dead)
	slow()
	if err != nil {
		return err
	}
	calls := d.calls() - before.calls
	d.check(len(once) == 1 && once[0] != dead && d.newest(once[0]), "all %d clients got the same new value, and it is valid",
		"%d 个客户端得到同一个新值，而且有效", rejectersPerHost*len(d.hosts))
	d.check(calls == 1, "calls to WeChat for %[2]d rejects: %[1]d", "%[2]d 次退回，调用微信 %[1]d 次", calls, rejectersPerHost*len(d.hosts))
	stored := eventually(ctx, func() bool { return d.lost() == 0 })
	d.check(stored, "the call replaced the refresh token: every host has stored the new one", "这次调用更换了刷新令牌：每台主机都已保存新的刷新令牌")
	late := d.calls()
	again, err := d.rejectAll(ctx, name, dead)
	if err != nil {
		return err
	}
	calls = d.calls() - late
	d.check(slices.Equal(again, once) && calls == 0, "late rejects of the old value on all hosts return the new value: calls to WeChat: %d",
		"随后各主机上再退回旧值，直接得到新值：调用微信 %d 次", calls)
	return d.settle(ctx, before)
}

// rejectAll rejects a value from many clients of all hosts at once and returns the different values
// that they got.
func (d *several) rejectAll(ctx context.Context, name, value string) ([]string, error) {
	got := make([]string, rejectersPerHost*len(d.hosts))
	err := d.everywhere(ctx, rejectersPerHost, func(ctx context.Context, i int, c *clientlib.Client) (err error) {
		began := time.Now()
		got[i], err = d.reject(ctx, c, name, value)
		d.seen.waited(time.Since(began))
		return err
	})
	slices.Sort(got)
	return slices.Compact(got), err
}

// bill is what a step has cost.
type bill struct {
	counts
	own int // calls that the hosts have counted themselves
}

// account returns the current bill of the hosts that are not down, for a later settle.
func (d *several) account(ctx context.Context) (b bill, err error) {
	b.counts = d.since()
	for _, h := range d.alive() {
		c := h.newClient()
		n, err := tries(ctx, c)
		_ = c.Close()
		if err != nil {
			return b, err
		}
		b.own += n
	}
	return b, nil
}

// settle compares the hosts' own count of calls since before with WeChat's, and prints the cost.
func (d *several) settle(ctx context.Context, before bill) error {
	now, err := d.account(ctx)
	if err != nil {
		return err
	}
	own, calls := now.own-before.own, now.calls-before.calls
	d.check(own == calls, "calls that the hosts counted: %d, and WeChat: %d", "各主机记录的调用共 %d 次，微信记录 %d 次", own, calls)
	d.cost(before.counts)
	return nil
}
