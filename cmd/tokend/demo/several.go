package demo

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tokend/clientlib"
	"tokend/cmd/tokend/sandbox"
	"tokend/daemon/cluster"
	"tokend/daemon/cluster/kvtest"
	"tokend/daemon/record"
	"tokend/daemon/store"
	"tokend/fetchers/wechattest"
)

// Limits of [Config].Hosts.
const (
	MinHosts = 2
	MaxHosts = 5
)

// several is the demonstration of several hosts. The hosts run in the demonstration's process, with
// an etcd in memory, so that nothing has to be installed and any of them can be killed at an exact
// moment.
type several struct {
	*stage
	hosts     []*host
	customers []string // appids
	names     []string // of all credentials
	etcd      *kvtest.Etcd
	wechat    *wechattest.WeChat
	server    *wechattest.Server
	writes    atomic.Int64 // transactions of all hosts that are about records
	seen      continuity

	opened  counts // when all hosts were running
	written int64  // likewise, of writes
	loss    loss
}

// newSeveral returns a demonstration of n hosts.
func newSeveral(s *stage, n int) *several {
	d := &several{
		stage:     s,
		hosts:     make([]*host, n),
		customers: []string{"wxcustomer1", "wxcustomer2"},
		etcd:      kvtest.New(),
		wechat:    wechattest.New(wechattest.Settings{RotateEachCall: true}),
	}
	s.calls = d.wechat.Total
	return d
}

func (d *several) steps() []func(context.Context) error {
	return []func(context.Context) error{
		d.open,
		d.readEverywhere,
		d.rejectEverywhere,
		d.killCaller,
		d.takeOver,
		d.catchUp,
		d.sum,
	}
}

func (d *several) logTails(n int) (lines []string) {
	for _, h := range d.present() {
		lines = append(lines, tailOf(h.log.Name(), n)...)
	}
	return lines
}

func (d *several) leave() {
	if d.server != nil {
		_ = d.server.Close() // first: it ends the calls under way
	}
	for _, h := range d.present() {
		h.leave()
	}
}

// present returns the hosts that exist.
func (d *several) present() []*host {
	return slices.DeleteFunc(slices.Clone(d.hosts), func(h *host) bool { return h == nil })
}

// alive returns the hosts that are not down.
func (d *several) alive() []*host {
	return slices.DeleteFunc(d.present(), func(h *host) bool { return h.running == nil })
}

// open prints the introduction and starts all hosts.
func (d *several) open(ctx context.Context) (err error) {
	accounts, owner := sandbox.Accounts(), sandbox.Owners()[0]
	for _, a := range accounts {
		a.AddTo(d.wechat)
		d.names = append(d.names, a.Names()...)
	}
	owner.AddTo(d.wechat)
	d.names = append(d.names, platform+"/component_access_token")
	for _, appid := range d.customers {
		d.names = append(d.names, platform+"/"+appid+"/access_token")
	}
	if d.server, err = d.wechat.Start(""); err != nil {
		return err
	}
	d.introduce()
	key := make([]byte, store.KeySize)
	_, _ = rand.Read(key) // never fails
	since := boottime()
	for i := range d.hosts {
		name := fmt.Sprintf("web%d", i+1)
		conf := sandbox.Configuration{Dir: filepath.Join(d.dir, name), URL: d.server.URL, Accounts: accounts, Owners: []sandbox.Owner{owner}}
		if d.hosts[i], err = newHost(name, conf, key, since, d.etcd); err != nil {
			return err
		}
		d.hosts[i].client.Faults(d.countWrite)
		if err := d.hosts[i].start(ctx); err != nil {
			return err
		}
	}
	if err := d.submit(ctx); err != nil {
		return err
	}
	d.opened, d.written = d.since(), d.writes.Load()
	return nil
}

func (d *several) introduce() {
	defer d.outside()()
	d.say("tokend on %d hosts: one call, whichever host makes it", "tokend：%d 台主机，同一个凭据只调用一次", len(d.hosts))
	d.say("", "")
	d.say("Two daemons that refresh the same rotating token invalidate each other's tokens. Two that use the same refresh",
		"两个守护进程各自刷新同一个令牌，会互相顶掉对方的令牌；各自使用同一个刷新令牌，就会丢失客户的授权。")
	d.say("token lose the customer's authorization. With several hosts, each tokend has its own socket, store and clients.",
		"多台主机时，每个 tokend 有自己的套接字、自己的存储、自己的客户端，各主机的记录通过 etcd 共享；")
	d.say("The hosts share their records in etcd, and a host stores a claim there before it calls WeChat.",
		"调用微信之前，先在 etcd 里登记。")
	d.say("", "")
	d.say("This demo runs the hosts in one process, with an etcd in memory and a WeChat that counts. Each call for a",
		"下面的几台主机在同一个进程里运行，连着一个内存里的 etcd，和一个统计调用次数的模拟微信。")
	d.say("customer's token replaces the refresh token. WeChat accepts the previous one for five minutes.",
		"客户的刷新令牌每用一次就换新的，旧的五分钟后失效。")
	d.say("", "")
	d.say("WeChat: %s   hosts: %s in %s", "模拟微信：%s   主机：%s，目录 %s", d.server.URL, d.hostNames(), d.dir)
}

func (d *several) hostNames() string {
	var names []string
	for i := range d.hosts {
		names = append(names, fmt.Sprintf("web%d", i+1))
	}
	return strings.Join(names, " ")
}

// submit gives the platform's ticket and the customers' refresh tokens to the first host, and
// returns when all hosts have them.
func (d *several) submit(ctx context.Context) error {
	c := d.hosts[0].newClient()
	defer c.Close()
	ticket := d.wechat.TicketPush(platformID).Event.Ticket
	if err := c.Put(ctx, platform+"/component_verify_ticket", clientlib.Secret(ticket)); err != nil {
		return err
	}
	for _, appid := range d.customers {
		if err := c.Put(ctx, grantName(appid), clientlib.Secret(d.wechat.AddCustomer(platformID, appid))); err != nil {
			return err
		}
	}
	if !eventually(ctx, func() bool { return d.lost() == 0 }) {
		return fmt.Errorf("the customers' refresh tokens do not reach every host: %w", errTooLong)
	}
	return nil
}

func grantName(appid string) string { return platform + "/" + appid + "/refresh_token" }

// lost returns the number of customers whose newest refresh token is not stored on every host.
func (d *several) lost() int {
	n := 0
	for _, appid := range d.customers {
		newest := d.wechat.CurrentGrant(platformID, appid)
		if slices.ContainsFunc(d.alive(), func(h *host) bool { return h.grant(grantName(appid)) != newest }) {
			n++
		}
	}
	return n
}

// grant returns the refresh token that the host has stored, or "".
func (h *host) grant(name string) string {
	r, err := h.running.store.Get(record.Grants, name)
	if err != nil || r.Value == nil {
		return ""
	}
	g, err := record.DecodeGrant(r)
	if err != nil {
		return ""
	}
	return string(g.Value)
}

// countWrite counts a transaction of a host about a record or a claim. It causes no fault.
func (d *several) countWrite(r kvtest.Request) kvtest.Fault {
	about := func(op cluster.Op) bool {
		table, _, ok := strings.Cut(strings.TrimPrefix(op.Key, prefix+"/"), "/")
		return ok && op.Verb != cluster.Get && table != "m" && table != "n"
	}
	if r.Method == kvtest.Txn && slices.ContainsFunc(r.Txn.Then, about) {
		d.writes.Add(1)
	}
	return kvtest.Fault{}
}

// everywhere is concurrently for n clients of each host that is not down. i counts them all.
func (d *several) everywhere(ctx context.Context, n int, f func(ctx context.Context, i int, c *clientlib.Client) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for k, h := range d.alive() {
		g.Go(func() error {
			return d.concurrently(ctx, h.conf.Socket(), n, func(ctx context.Context, i int, c *clientlib.Client) error { return f(ctx, k*n+i, c) })
		})
	}
	return g.Wait()
}

// newest reports whether WeChat accepts a value and has not issued a newer one since. Every value
// of the demonstration is minutes old at most, and the previous one ends in five minutes.
func (d *several) newest(value string) bool { return time.Until(d.wechat.Ends(value)) > time.Hour }

// newClient returns a client of the host. The caller closes it.
func (h *host) newClient() *clientlib.Client { return &clientlib.Client{Socket: h.conf.Socket()} }

// eventually waits until ok, and reports whether it came in time.
func eventually(ctx context.Context, ok func() bool) bool { return within(ctx, soon, ok) }

func within(ctx context.Context, limit time.Duration, ok func() bool) bool {
	for end := time.Now().Add(limit); ctx.Err() == nil && time.Now().Before(end); time.Sleep(time.Millisecond) {
		if ok() {
			return true
		}
	}
	return false
}
