package demo

import (
	"context"
	"slices"
	"time"

	"tokend/clientlib"
	"tokend/fetchers/wechattest"
)

// The first steps: tokens live two hours, and WeChat is up. The number of calls is known exactly.

const (
	programs  = 50  // that read everything
	rejecters = 100 // that reject a dead token
)

// open prints the introduction and starts the first instance.
func (d *demo) open(ctx context.Context) (err error) {
	if d.long, err = newInstance(d.program, d.dir+"/a", wechattest.Settings{}); err != nil {
		return err
	}
	if err := d.long.enter(ctx); err != nil {
		return err
	}
	defer d.outside()()
	d.say("tokend: one daemon instead of a cache in every program", "tokend：一台主机一个守护进程，代替每个程序里的缓存")
	d.say("", "")
	d.say("A WeChat or WeCom token belongs to the account and lives two hours. The number of fetches is limited.",
		"微信和企业微信的令牌属于整个账号，有效期两小时，获取次数有限。")
	d.say("Programs that each keep a copy (a file, a static field, a row) fetch it at the same time, invalidate each",
		"PHP、C#、Go 程序如果各存一份（文件、静态变量、数据库），就会同时去取，互相顶掉对方的令牌，")
	d.say("other's token, keep using dead ones, and use up the quota. With tokend, only the daemon fetches; all other",
		"拿着失效的令牌继续用，直到用完配额。有了 tokend，只由它去获取，其他程序都通过 Unix 套接字向它请求，")
	d.say("processes ask it over a Unix socket. This demo runs a real daemon, many clients, and a WeChat that counts.",
		"几微秒到几十微秒就得到一个有效的值。下面有真正的守护进程、许多客户端，和一个统计调用次数的模拟微信。")
	d.say("", "")
	d.say("WeChat: %s   tokend: process %d at %s", "模拟微信：%s   tokend：进程 %d，%s", d.long.conf.URL, d.long.daemon.cmd.Process.Pid, d.long.conf.Socket())
	return nil
}

func (d *demo) firstReads(ctx context.Context) error {
	s, names, before := d.long, d.long.names, d.since()
	d.begin("%d programs start at once", "%d 个程序同时启动", programs)
	d.say("The cache is empty. Every program requests all %d credentials at the same time, and WeChat takes 0.3 s:",
		"此时缓存是空的。所有程序同时请求全部 %d 个凭据，而微信每次要 0.3 秒才响应：", len(names))
	d.say("official accounts (stable and rotating tokens, tickets), a mini program, two apps of a corp, two downstream corps,",
		"公众号（稳定版与普通 access_token、各种 ticket）、小程序、同一企业的两个应用、两个下游企业、")
	d.say("a provider.", "服务商。")

	quick := s.wechat.Inject(wechattest.Fault{Delay: 300 * time.Millisecond})
	got := make([][]string, programs)
	err := d.concurrently(ctx, s.conf.Socket(), programs, func(ctx context.Context, i int, c *clientlib.Client) (err error) {
		got[i] = make([]string, len(names))
		for k := range names {
			n := (i + k) % len(names) // each begins with another name
			if got[i][n], err = d.get(ctx, c, names[n]); err != nil {
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
		"all %d got the same values", "%d 个程序得到的值完全相同", programs)
	d.check(distinct(first), "%d different values: two apps, a corp's and an app's ticket, two accounts share nothing",
		"%d 个值各不相同：两个应用、企业 ticket 与应用 ticket、不同账号互不混淆", len(first))
	d.check(!slices.ContainsFunc(first, func(v string) bool { return !s.wechat.Valid(v) }), "WeChat accepts every value", "每个值微信都接受")
	calls := d.calls() - before.calls
	d.check(calls == len(names), "%d calls, one for each credential; separate caches would have made %d",
		"共 %d 次调用，每个凭据一次；各自缓存则要 %d 次", calls, programs*len(names))
	d.cost(before)
	return nil
}

func distinct(values []string) bool {
	sorted := slices.Sorted(slices.Values(values))
	return len(slices.Compact(sorted)) == len(values)
}

func (d *demo) cachedReads(ctx context.Context) error {
	const span = time.Second
	s, before := d.long, d.since()
	d.begin("All programs read for a second", "所有程序连续读取一秒钟")
	err := d.concurrently(ctx, s.conf.Socket(), programs, func(ctx context.Context, i int, c *clientlib.Client) error {
		for began, n := time.Now(), i; time.Since(began) < span; n++ {
			if _, err := d.get(ctx, c, s.names[n%len(s.names)]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	calls := d.calls() - before.calls
	d.check(calls == 0, "answered from memory: %d calls", "全部由内存响应：调用 %d 次", calls)
	d.cost(before)
	return nil
}

func (d *demo) rejected(ctx context.Context) error {
	s, before := d.long, d.since()
	const name = "work/wwsandboxcorp/1000002/access_token"
	d.begin("WeChat invalidates a token early", "微信提前作废一个令牌")
	d.say("This happens occasionally. WeChat refuses %d programs with the token, and all reject it at once (REJECT).",
		"这种事偶尔会发生。%d 个程序同时被微信拒绝，同时把令牌退回（REJECT）。", rejecters)
	c := s.client()
	defer c.Close()
	dead, err := d.get(ctx, c, name)
	if err != nil {
		return err
	}
	s.wechat.Kill(dead)
	once, err := d.rejectAll(ctx, name, dead)
	if err != nil {
		return err
	}
	calls := d.calls() - before.calls
	d.check(len(once) == 1 && once[0] != dead && s.wechat.Valid(once[0]), "all programs got the same new value, and it is valid", "所有程序得到同一个新值，而且有效")
	d.check(calls == 1, "%d call for %d rejects", "%d 次调用，对应 %d 次退回", calls, rejecters)
	late := d.calls()
	again, err := d.rejectAll(ctx, name, dead)
	if err != nil {
		return err
	}
	calls = d.calls() - late
	d.check(slices.Equal(again, once) && calls == 0, "%d late rejects of the old value: the new value is returned, %d calls",
		"又有 %d 个程序随后退回旧值：直接得到新值，调用 %d 次", rejecters, calls)
	d.cost(before)
	return nil
}

// rejectAll rejects a value from many clients at once and returns the different values that they
// got.
func (d *demo) rejectAll(ctx context.Context, name, value string) ([]string, error) {
	got := make([]string, rejecters)
	err := d.concurrently(ctx, d.long.conf.Socket(), rejecters, func(ctx context.Context, i int, c *clientlib.Client) (err error) {
		got[i], err = d.reject(ctx, c, name, value)
		return err
	})
	slices.Sort(got)
	return slices.Compact(got), err
}
