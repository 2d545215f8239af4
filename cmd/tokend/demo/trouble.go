package demo

import (
	"context"
	"errors"
	"strings"
	"time"

	"tokend/clientlib"
)

// The steps with an operator's mistake and with a killed daemon.

// wrongSecret shows that an error that needs an operator causes one call.
func (d *demo) wrongSecret(ctx context.Context) error {
	before := d.since()
	d.begin("A secret is mistyped", "有人把 secret 写错了")
	d.say("%d programs request the token of that account. WeChat blocks clients that keep calling with a wrong secret.",
		"%d 个程序请求这个账号的令牌。用错误的 secret 反复调用，会被微信封禁。", rejecters)
	refusals := make([]error, rejecters)
	err := d.concurrently(ctx, d.long.conf.Socket(), rejecters, func(ctx context.Context, i int, c *clientlib.Client) error {
		_, refusals[i] = d.get(ctx, c, mistypedName)
		return nil
	})
	if err != nil {
		return err
	}
	refused := 0
	for _, err := range refusals {
		if e, ok := errors.AsType[*clientlib.Error](err); ok && e.Code == clientlib.ErrUpstream && strings.HasPrefix(e.Message, "errcode=40125") {
			refused++
		}
	}
	calls := d.calls() - before.calls
	d.check(refused == rejecters, "all %d programs get UPSTREAM errcode=40125 at once, with the seconds to wait", "%d 个程序都立即得到 UPSTREAM errcode=40125 和重试秒数", refused)
	d.check(calls == 1, "calls to WeChat: %d", "调用微信 %d 次", calls)
	d.cost(before)
	return nil
}

// killed shows that a restart causes no calls.
func (d *demo) killed(ctx context.Context) error {
	const reads = 1000
	s := d.long
	d.begin("kill -9", "kill -9 杀掉守护进程")
	held, err := d.everything(ctx, s)
	if err != nil {
		return err
	}
	before := d.since()
	s.daemon.kill()
	s.daemon = nil
	if err := s.enter(ctx); err != nil {
		return err
	}
	d.say("The daemon was killed and started again. It responds after %d ms.", "守护进程被杀掉后重新启动，%d 毫秒后恢复响应。", time.Since(before.at).Milliseconds())
	c := s.client()
	defer c.Close()
	same := 0
	for i := range reads {
		name := s.names[i%len(s.names)]
		v, err := d.get(ctx, c, name)
		if err != nil {
			return err
		}
		if v == held[name] {
			same++
		}
	}
	_, refusal := d.get(ctx, c, mistypedName)
	calls := d.calls() - before.calls
	d.check(same == reads && calls == 0, "%s reads, every value as before: values are durable before they are visible; %d calls",
		"读取 %s 次，值与之前完全相同：先落盘，后可见；调用 %d 次", grouped(reads), calls)
	d.check(errors.Is(refusal, clientlib.ErrUpstream), "the error of the wrong secret is remembered too, and WeChat is not called again", "也还记得 secret 有误，没有再调用微信")
	d.cost(before)
	return nil
}

// everything reads every credential once.
func (d *demo) everything(ctx context.Context, s *instance) (map[string]string, error) {
	c := s.client()
	defer c.Close()
	got := make(map[string]string, len(s.names))
	for _, name := range s.names {
		v, err := d.get(ctx, c, name)
		if err != nil {
			return nil, err
		}
		got[name] = v
	}
	return got, nil
}
