package demo

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"
)

// stopped shows a clean stop.
func (d *demo) stopped(context.Context) error {
	d.begin("Stop", "停止")
	for _, s := range d.instances() {
		code, err := s.daemon.stop()
		if err != nil {
			return err
		}
		s.daemon = nil
		_, err = os.Lstat(s.conf.Socket())
		d.check(code == 0 && errors.Is(err, fs.ErrNotExist), "SIGTERM: exit status %d, the socket is removed", "SIGTERM：退出码 %d，套接字文件已删除", code)
	}
	return nil
}

// sum prints the totals.
func (d *demo) sum(context.Context) error {
	defer d.outside()()
	reads, rejects, calls := d.reads.Load(), d.rejects.Load(), d.calls()
	d.say("", "")
	d.say("In %.1f s: %s reads and %s rejects by up to %d clients at once, %d calls to WeChat.",
		"%.1f 秒内，最多 %[4]d 个客户端并发，共读取 %[2]s 次、退回 %[3]s 次，调用微信 %[5]d 次。",
		time.Since(d.began).Seconds(), grouped(reads), grouped(rejects), rejecters, calls)
	if d.failed == 0 {
		d.say("All %d checks passed.", "%d 项检查全部通过。", d.checked)
		d.say("", "")
		d.say("A cache in each program cannot do this: it does not know the others, loses its values at a restart or keeps", "各程序自带的缓存做不到这些：互不知情，重启后丢失，或者留着失效的值，")
		d.say("invalid ones, and calls repeatedly with a wrong secret. For your own accounts, see systemd/tokend.toml.", "还会拿着错误的 secret 反复请求。接入自己的账号见 systemd/tokend.toml；")
		d.say("To develop without an account: tokend sandbox", "没有账号也能开发：tokend sandbox")
	}
	return nil
}
