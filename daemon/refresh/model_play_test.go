package refresh

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"tokend/daemon/policy"
	"tokend/daemon/record"
)

const (
	suite       = "open_work/wws"
	suiteTicket = suite + "/suite_ticket"
	suiteToken  = suite + "/suite_access_token"
	corp        = "work/ww1/7/access_token"
	corpTick    = "work/ww1/7/jsapi_ticket"
)

// customers are those of the platform and of the suite, with the word of their grant.
var customers = map[string]string{
	platform + "/wxa": "refresh_token",
	platform + "/wxb": "refresh_token",
	suite + "/wwa":    "permanent_code",
}

// modelNames are the credentials of a run.
var modelNames = []string{
	app, tick, app2, corp, corpTick, verify, component, preAuth, suiteTicket, suiteToken,
	platform + "/wxa/access_token", platform + "/wxa/jsapi_ticket",
	platform + "/wxb/access_token", suite + "/wwa/access_token",
}

// customer returns a customer that goes with the step.
func (s step) customer() string {
	return []string{platform + "/wxa", platform + "/wxb", suite + "/wwa"}[s.arg%3]
}

// modelDawdle is how long the disk of a run takes at most, when it is slow.
const modelDawdle = 2 * time.Second

// model is a run: a world, its disk, and the engine that lives in it.
type model struct {
	w    *world
	disk *disk

	*Engine
	handle   *mortalDisk
	stop     func() bool // false: it did not stop in time
	watched  *watched
	settings map[string]string // by account
	ops      sync.WaitGroup

	missing map[string]bool // accounts out of the configuration; guarded by w.mu, as is changes
	changes int             // of the configuration

	reads, lives, kills, made int
}

func newModel(seed uint64) *model {
	r := newWorld(seed, 0).chance("weather", 0)
	m := &model{
		w: newWorld(seed, []int{0, 10, 30, 60}[r.IntN(4)]), disk: newDisk(),
		settings: map[string]string{}, missing: map[string]bool{},
	}
	for _, name := range modelNames {
		m.w.names[name] = &truth{name: name, values: map[string]*issued{}}
	}
	for c := range customers {
		m.w.grants[c] = &grantTruth{}
	}
	// Whose keys come from chance: pauses depend on them.
	key := make([]byte, len(fingerprinter{}))
	for i := range key {
		key[i] = byte(r.IntN(256))
	}
	_ = m.disk.Store.Put(context.Background(), record.Key{Name: fingerprintKey, Bytes: key}.Encode())
	return m
}

// catalog returns the configuration as it is now, for the life l.
func (m *model) catalog(l *life) catalog {
	fetcher := func(name string) source { return source{m.w, l, name} }
	all := []Spec{
		{Name: app, Policy: policy.StableToken}, {Name: tick, Policy: policy.Ticket, Parent: app},
		{Name: app2, Policy: policy.RotatingToken},
		{Name: corp, Policy: policy.CorpToken}, {Name: corpTick, Policy: policy.CorpTicket, Parent: corp},
		{Name: verify, Policy: policy.VerifyTicket, Nudge: func(context.Context) error { return nil }},
		{Name: component, Policy: policy.ComponentToken, Parent: verify},
		{Name: preAuth, Policy: policy.PreAuthCode, Parent: component, PerHour: modelAsks},
		{Name: suiteTicket, Policy: policy.SuiteTicket},
		{Name: suiteToken, Policy: policy.SuiteToken, Parent: suiteTicket},
	}
	for c, word := range customers {
		kind, grantKind, parent := policy.AuthorizerToken, policy.RefreshToken, component
		if word == "permanent_code" {
			kind, grantKind, parent = policy.AuthCorpToken, policy.PermanentCode, suiteToken
		}
		grant := c + "/" + word
		token := Spec{Name: c + "/access_token", Policy: kind, Parent: parent, Grant: grant}
		if kind == policy.AuthorizerToken {
			token.Platform, token.Child = platform, strings.TrimPrefix(c, platform+"/")
			all = append(all, Spec{Name: c + "/jsapi_ticket", Policy: policy.AuthorizerTicket, Parent: token.Name, Grant: grant})
		}
		all = append(all, token, Spec{Name: grant, Policy: grantKind})
	}
	for owner, parent := range map[string]string{platform: component, suite: suiteToken} {
		w := way{
			Parent:    parent,
			Grant:     func(c string) string { return owner + "/" + c + "/" + customers[owner+"/"+c] },
			Token:     func(c string) string { return owner + "/" + c + "/access_token" },
			Exchanger: fetcher(owner),
		}
		if owner == platform {
			w.Lister = fetcher(owner)
		}
		all = append(all, Spec{Name: owner + "/*", Fetcher: w})
	}
	c := catalog{}
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	for _, s := range all {
		if t := m.w.names[s.Name]; t != nil {
			t.kind = s.Policy
		}
		account := accountOf(s.Name)
		if m.missing[account] {
			continue
		}
		if s.Fetcher == nil && s.Policy.Pushed == 0 && !s.Policy.Grant {
			s.Fetcher = fetcher(s.Name)
		}
		s.Account, s.Owner, s.Settings = s.Name, account, m.settings[account]
		c[s.Name] = s
	}
	return c
}

// accountOf returns the first two segments of a name.
func accountOf(name string) string {
	s := strings.SplitN(name, "/", 3)
	return s[0] + "/" + s[1]
}

// mortalDisk is the disk as one life of the engine sees it: at a write it may be killed, before or
// after the write was made.
type mortalDisk struct {
	*disk
	w    *world
	l    *life
	left int // writes until the kill; negative for never. Guarded by w.mu
	late bool

	pace time.Duration // that it takes to read a credential as all are read
}

func (d *mortalDisk) All(table record.Table) iter.Seq2[record.Record, error] {
	return func(yield func(record.Record, error) bool) {
		for r, err := range d.disk.All(table) {
			if table == record.Credentials {
				time.Sleep(d.pace)
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

func (d *mortalDisk) Put(ctx context.Context, recs ...record.Record) error {
	d.w.mu.Lock()
	last := d.left == 0
	d.left--
	killed := d.l.killed
	d.w.mu.Unlock()
	if killed {
		return errBuried
	}
	if last && d.late {
		_ = d.disk.Put(context.Background(), recs...)
	}
	if last {
		d.w.kill(d.l)
		return errBuried
	}
	err := d.disk.Put(ctx, recs...)
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	if err != nil {
		d.l.rough = true
	}
	if d.l.killed {
		return errBuried // killed while the disk took it
	}
	return err
}

func (w *world) kill(l *life) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !l.killed {
		l.killed, l.end = true, w.now()
		close(l.dead)
		w.note("killed")
	}
}

// start begins a life.
func (m *model) start() {
	l := &life{dead: make(chan struct{})}
	m.w.mu.Lock()
	m.w.life = l
	m.w.note("start %d", m.lives)
	m.w.mu.Unlock()
	// What is done next is done while the engine still loads.
	loading := m.w.chance("loading", m.lives)
	pace := []time.Duration{0, time.Millisecond, time.Second, 5 * time.Second}[loading.IntN(4)]
	m.handle = &mortalDisk{disk: m.disk, w: m.w, l: l, left: -1, pace: pace}
	e, err := New(Config{
		Store: m.handle, Catalog: m.catalog(l), Hosts: bothHosts, Timeout: 15 * time.Second,
		Boottime: m.w.boottime, Boot: m.w.bootID(),
		Ahead: true,
	})
	if err != nil {
		panic(err)
	}
	m.Engine = e
	m.lives++
	m.watched = watchAll(e)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := e.Run(ctx); err != nil {
			m.w.violateNow("Run: %v", err)
		}
	}()
	m.stop = func() bool {
		cancel()
		select {
		case <-done:
			return true
		case <-time.After(5 * time.Minute):
			return false
		}
	}
}

// bury ends the life of an engine that was killed and waits for what is left of it: it can
// neither call nor write any more.
func (m *model) bury() {
	m.disk.Delay(0)
	if !m.stop() {
		m.w.violateNow("Run has not returned")
	}
	m.ops.Wait()
	m.watched.wait()
	m.kills++
	m.w.reborn()
}

// play does the steps, then lets the weather clear and looks whether all is well.
func (m *model) play(steps []step) {
	m.start()
	m.do(step{verb: "push", name: verify}, true)
	m.do(step{verb: "push", name: suiteTicket}, true)
	for i := range len(customers) {
		m.do(step{verb: "exchange", arg: i}, true)
	}
	for _, s := range steps {
		m.w.mu.Lock()
		m.w.note("> %s", s)
		m.w.mu.Unlock()
		m.do(s, !s.async)
		time.Sleep(s.wait)
		synctest.Wait()
		if m.dead() {
			m.bury()
			m.start()
		}
	}
	m.heal()
	m.ops.Wait()
	m.endLife()
}

func (m *model) dead() bool {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	return m.w.life.killed
}

// do does one step.
func (m *model) do(s step, wait bool) {
	switch s.verb {
	case "stop":
		m.restart(func() {})
		return
	case "reboot":
		m.restart(func() {
			time.Sleep(time.Duration(s.arg%100) * time.Minute)
			m.w.reboot()
		})
		return
	case "clock":
		// The host was off, and the wall clock was set back to before what was written last.
		m.restart(func() {
			time.Sleep(time.Duration(s.arg%100) * time.Minute)
			m.w.reboot()
			setBack(m.disk, time.Duration(s.arg%1000)*time.Hour+time.Hour)
			m.w.forgetValid()
		})
		return
	case "catalog":
		m.reconfigure(s)
		return
	case "kill":
		m.w.mu.Lock()
		m.handle.left, m.handle.late = s.arg%6, s.arg%2 == 0
		m.w.mu.Unlock()
		if s.arg%4 == 0 {
			m.w.kill(m.w.life)
		}
		return
	case "disk":
		if m.redated(); m.dead() {
			return
		}
		m.disk.fail(errors.New("no space left"))
		m.ops.Go(func() { time.Sleep(time.Duration(s.arg%120) * time.Second); m.disk.fail(nil) })
		return
	case "disk slow":
		if m.redated(); m.dead() {
			return
		}
		m.disk.Delay(time.Duration(s.arg) % modelDawdle)
		m.ops.Go(func() { time.Sleep(time.Duration(s.arg%120) * time.Second); m.disk.Delay(0) })
		return
	case "suspend":
		if m.redated(); m.dead() {
			return // the next life uses the wall clock, which does not see it here
		}
		m.w.mu.Lock()
		m.w.drift += time.Duration(s.arg%200) * time.Minute
		m.w.mu.Unlock()
		m.clock.Resync()
		return
	case "weather":
		m.w.mu.Lock()
		m.w.weight = []int{0, 10, 30, 60, 100}[s.arg%5]
		m.w.mu.Unlock()
		return
	case "probe":
		m.probe()
		return
	case "get many":
		for i := range s.arg % 20 {
			m.ops.Go(m.op(step{verb: "get", name: preAuth, arg: i}))
		}
		return
	}
	done := make(chan struct{})
	f := m.op(s)
	m.ops.Go(func() { defer close(done); f() })
	if !wait {
		return
	}
	select {
	case <-done:
	case <-time.After(time.Minute):
	}
}

// redated returns when no record tells its time by an earlier boot any more, unless the engine was
// killed. The world's wall clock sees no suspend before a reboot, so that none must come before.
func (m *model) redated() {
	<-m.Loaded()
	time.Sleep(2 * modelDawdle)
	synctest.Wait()
}

// restart stops the engine, has f done, and starts another.
func (m *model) restart(f func()) {
	m.disk.fail(nil)
	m.disk.Delay(0)
	m.endLife()
	f()
	m.start()
}

// reconfigure takes an account out of the configuration, puts it back, or changes it.
func (m *model) reconfigure(s step) {
	account := accountOf(s.name)
	m.w.mu.Lock()
	gone := s.arg%3 == 0 && !m.missing[account]
	m.missing[account] = gone
	m.changes++
	m.w.mu.Unlock()
	if !gone && s.arg%2 == 0 {
		m.settings[account] = fmt.Sprint("v", s.arg)
	}
	m.w.reconfigured(account, gone)
	m.SetCatalog(m.catalog(m.w.life))
	m.w.reconfigured(account, gone) // a call that was under way was made with the settings before
}
