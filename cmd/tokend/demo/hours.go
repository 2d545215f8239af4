package demo

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"tokend/clientlib"
	"tokend/fetchers/wechattest"
)

// The steps in which time passes, on their own instance: tokens live for seconds, so that hours can
// be shown. The number of calls depends on the machine. No dead value may be served in any case.

const (
	// lifetime represents two hours. All times of tokend and WeChat shrink with it, except tokend's
	// shortest pause between two calls, which is a second.
	lifetime = 3 * time.Second

	// overlap is how long WeChat accepts the old token beside the new one. Five minutes of two
	// hours would be an eighth of a second here. tokend refreshes such a short lifetime when a
	// quarter is left, so overlap is longer.
	overlap = time.Second

	// pastEnd is how long a value that WeChat repeated may be served after its expiry (a quarter of
	// a short lifetime: docs/protocol.md, Values and times), plus some time for a busy machine.
	pastEnd = lifetime/4 + 500*time.Millisecond

	watchers = 20 // clients that read and check all the time
)

func (d *demo) lifetimes(ctx context.Context) (err error) {
	const span = lifetime + lifetime/4
	if d.short, err = newInstance(d.program, d.dir+"/b", wechattest.Settings{Lifetime: lifetime, Overlap: overlap}); err != nil {
		return err
	}
	s := d.short
	before := d.since()
	d.begin("Hours pass", "几个小时过去")
	d.say("Another daemon, and a WeChat whose tokens live %d seconds instead of two hours. %d clients read for more than", "另起一个守护进程，令牌的有效期只有 %d 秒，代表两小时。%d 个客户端连续读取，", lifetime/time.Second, watchers)
	d.say("a lifetime and look at each value: does WeChat still accept it?", "超过一个有效期，并逐个检查：微信是否仍接受这个值？")
	if err := s.enter(ctx); err != nil {
		return err
	}
	held, err := d.everything(ctx, s)
	if err != nil {
		return err
	}
	seen := newObservations(s.names)
	renewed, ahead := 0, false
	// One pass is enough, unless the machine was too busy to refresh early.
	for try := 0; try < 3 && (renewed < len(s.names) || !ahead); try++ {
		if err := d.observe(ctx, seen, span, nil); err != nil {
			return err
		}
		renewed = seen.renewed(held)
		if ahead, err = d.refreshedAhead(ctx); err != nil {
			return err
		}
	}
	d.check(seen.errors == 0 && seen.dead == 0, "%s reads, %d errors, %d dead values; the slowest took %d ms",
		"读取 %s 次，错误 %d 次，失效的值 %d 个；最慢一次 %d 毫秒", grouped(seen.reads), seen.errors, seen.dead, seen.slowest.Milliseconds())
	d.check(renewed == len(s.names), "%d of %d credentials were refreshed in this time", "这期间 %d / %d 个凭据已更新", renewed, len(s.names))
	d.check(ahead, "the access tokens of official accounts and mini program were refreshed before expiry, in the background",
		"公众号和小程序的 access_token 在过期之前已由后台刷新")
	d.check(d.oneAtATime(), "at most one call for a credential was in flight", "同一凭据从未同时发出两次调用")
	d.cost(before)
	return nil
}

// refreshedAhead reports whether the schedule refreshed every access token of which WeChat issues a
// new one early, without a waiting client.
func (d *demo) refreshedAhead(ctx context.Context) (bool, error) {
	c := d.short.client()
	defer c.Close()
	for _, name := range []string{
		"official_account/wxsandboxofficial/access_token",
		"official_account/wxsandboxrotating/access_token",
		"mini_program/wxsandboxmini/access_token",
	} {
		history, err := c.History(ctx, name)
		if err != nil {
			return false, err
		}
		if !slices.ContainsFunc(history, func(a clientlib.Attempt) bool { return a.Cause == "schedule" && a.Outcome == "ok" }) {
			return false, nil
		}
	}
	return true, nil
}

// oneAtATime reports whether WeChat has never received two concurrent calls for one credential.
func (d *demo) oneAtATime() bool {
	for _, s := range d.instances() {
		for _, a := range s.conf.Accounts {
			id := a.ID
			if a.AgentID != "" {
				id += "/" + a.AgentID
			}
			for _, c := range a.Downstream {
				if s.wechat.MaxConcurrent(wechattest.DownstreamToken, id+"/"+c.CorpID) > 1 {
					return false
				}
			}
			for _, endpoint := range []string{
				wechattest.Token, wechattest.StableToken, wechattest.Ticket, wechattest.CorpToken,
				wechattest.CorpTicket, wechattest.AgentTicket, wechattest.ProviderToken,
			} {
				if s.wechat.MaxConcurrent(endpoint, id) > 1 {
					return false
				}
			}
		}
	}
	return true
}

// outage shows that cached values are served in an outage until they expire, and not longer.
func (d *demo) outage(ctx context.Context) error {
	s := d.short
	before := d.since()
	d.begin("WeChat is unreachable", "微信连不上")
	d.say("From now on every call fails. The clients continue to read until the last value expires.", "从现在起每次调用都失败。客户端继续读取，直到最后一个值过期。")
	states, err := s.follow(ctx)
	if err != nil {
		return err
	}
	defer states.end()
	c := s.client()
	defer c.Close()
	triesBefore, err := tries(ctx, c)
	if err != nil {
		return err
	}
	s.wechat.SetAway(true)
	seen := newObservations(s.names)
	if err := d.observe(ctx, seen, patience, func() bool { return states.none("fresh", "stale") }); err != nil {
		return err
	}
	gone := states.none("fresh", "stale")
	d.check(seen.good > 0 && seen.dead == 0 && states.had("stale"), "%s reads got values that are still valid (\"stale\"), %d got dead values",
		"%s 次读取得到仍然有效的值（状态为 stale），%d 次得到失效的值", grouped(seen.good), seen.dead)
	unavailable := 0
	for _, name := range s.names {
		if _, err := d.get(ctx, c, name); errors.Is(err, clientlib.ErrUnavailable) {
			unavailable++
		}
	}
	d.check(gone && unavailable == len(s.names), "after expiry a read returns an error, not a dead value: %d of %d return UNAVAILABLE and the seconds to wait",
		"过期之后返回错误，不返回失效的值：%d / %d 个返回 UNAVAILABLE 和重试秒数", unavailable, len(s.names))
	triesNow, err := tries(ctx, c)
	if err != nil {
		return err
	}
	d.say("tokend tried %d calls to WeChat in this time, regardless of the number of reads.", "这期间 tokend 一共尝试调用微信 %d 次，与读取次数无关。", triesNow-triesBefore)
	d.cost(before)
	return nil
}

// tries returns the number of calls that a daemon has tried, including failed ones.
func tries(ctx context.Context, c *clientlib.Client) (int, error) {
	stats, err := c.Stats(ctx)
	if err != nil {
		return 0, err
	}
	for _, p := range stats {
		if p.Key == "calls" {
			return strconv.Atoi(p.Value)
		}
	}
	return 0, errors.New("STATS has no calls")
}

// recovery shows that tokend recovers by itself when WeChat is back.
func (d *demo) recovery(ctx context.Context) error {
	s := d.short
	before := d.since()
	d.begin("WeChat is back", "微信恢复")
	states, err := s.follow(ctx)
	if err != nil {
		return err
	}
	defer states.end()
	s.wechat.SetAway(false)
	err = states.wait(ctx, patience, func(state map[string]string) bool {
		for _, name := range s.names {
			if state[name] != "fresh" {
				return false
			}
		}
		return true
	})
	took := time.Since(before.at)
	values, readErr := d.everything(ctx, s)
	valid := 0
	for _, v := range values {
		if s.wechat.Valid(v) {
			valid++
		}
	}
	d.check(err == nil && readErr == nil && valid == len(s.names), "all %d credentials are valid again after %.1f s, without any request",
		"%d 个凭据在 %.1f 秒后全部恢复，不需要任何请求", valid, took.Seconds())
	d.cost(before)
	return nil
}
