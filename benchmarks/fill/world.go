package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"tokend/daemon/boot"
	"tokend/daemon/record"
	"tokend/daemon/store"
	"tokend/fetchers/secret"
	"tokend/fetchers/wechattest"
)

const (
	platformID = "wxbenchplatform0"
	platform   = "open_platform/" + platformID
	secretText = "benchmark-secret"
	signToken  = "benchmarktoken"
	aesKey     = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"

	// life is the lifetime of an authorizer's token.
	life = 2 * time.Hour

	minSize = 16 // enough digits to make each token different
	maxSize = 4096
)

// customer returns the appid of customer i: as long as WeChat's, and in no order.
func customer(i int) string { return fmt.Sprintf("wx%016x", customerID(i)) }

func customerID(i int) uint64 { return uint64(i+1) * 0x9e3779b97f4a7c15 }

func tokenName(i int) string { return platform + "/" + customer(i) + "/access_token" }

// account returns the appid of official account i.
func account(i int) string { return fmt.Sprintf("wxa%015x", customerID(i)>>4) }

func accountToken(i int) string { return "official_account/" + account(i) + "/access_token" }

func grantName(i int) string { return platform + "/" + customer(i) + "/refresh_token" }

// world is the content of the state directory: a WeChat with one platform.
type world struct {
	wechat *wechattest.WeChat // nil without -serve
	server *wechattest.Server
	meter  *meter // of the calls to server
	random *rand.Rand
	boot   string
	url    string
}

// newWorld returns the world of o, with a server if o requires one.
func newWorld(o *options) (*world, error) {
	w := &world{random: rand.New(rand.NewPCG(1, 2)), boot: boot.ID(), url: o.upstream}
	if o.serve == "" {
		return w, nil
	}
	w.wechat = wechattest.New(wechattest.Settings{Seed: 1})
	w.wechat.AddPlatform(platformID, secretText, signToken, aesKey)
	w.wechat.SetValueSize(o.size)
	if o.latency > 0 {
		w.wechat.Inject(wechattest.Fault{Delay: o.latency})
	}
	w.meter = &meter{wechat: w.wechat}
	var err error
	if w.server, err = w.wechat.StartHandler(o.serve, w.meter); err != nil {
		return nil, err
	}
	w.url = w.server.URL
	return w, nil
}

func (w *world) close() error {
	if w.server == nil {
		return nil
	}
	return w.server.Close()
}

// letters are the characters of a token.
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func (w *world) text(size int) secret.Text {
	b := make([]byte, size)
	for i := 0; i < len(b); {
		for bits := w.random.Uint64(); bits > 1<<8 && i < len(b); bits >>= 6 {
			b[i] = letters[bits%uint64(len(letters))]
			i++
		}
	}
	return secret.Text(b)
}

// ticket returns a component_verify_ticket, which WeChat knows if it is served.
func (w *world) ticket() secret.Text {
	if w.wechat == nil {
		return w.text(90)
	}
	return secret.Text(w.wechat.TicketPush(platformID).Event.Ticket)
}

// grant returns the refresh token of customer i.
func (w *world) grant(i int) secret.Text {
	if w.wechat == nil {
		return "refreshtoken@@@" + w.text(43)
	}
	return secret.Text(w.wechat.AddCustomer(platformID, customer(i)))
}

// batch is the number of records in one write, and atOnce the number of concurrent writes: writes
// that wait for a sync share the next one.
const (
	batch  = 400
	atOnce = 8
)

// fill creates the state directory.
func (w *world) fill(ctx context.Context, o *options) (err error) {
	if _, err := os.Lstat(o.state); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("%s already exists: name another state directory, or remove it", o.state), err)
	}
	key, err := readKey(o.key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(o.state), 0o700); err != nil {
		return err
	}
	s, err := store.Open(store.Config{Dir: o.state, Key: key})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	// In the order of the keys. In another order the database sorts them repeatedly, which takes
	// ten minutes for a million.
	order := make([]int, o.n)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(customerID(a), customerID(b)) })
	made := time.Now()
	recs := []record.Record{w.credential(platform+"/component_verify_ticket", w.ticket(), made, 12*time.Hour, 12*time.Hour)}
	writes, ctx := errgroup.WithContext(ctx)
	writes.SetLimit(atOnce)
	put := func(r record.Record) {
		if recs = append(recs, r); len(recs) == batch {
			full := recs
			recs = make([]record.Record, 0, batch)
			writes.Go(func() error { return s.Put(ctx, full...) })
		}
	}
	for _, i := range order {
		if i >= o.used {
			continue
		}
		left := o.due + time.Duration(float64(o.over)*float64(i)/float64(o.used))
		put(w.credential(tokenName(i), w.text(o.size), made, left, life))
	}
	for i := range o.accounts {
		put(w.credential(accountToken(i), w.text(o.size), made, o.due, life))
		if w.wechat != nil {
			w.wechat.AddAccount(account(i), secretText)
		}
	}
	for _, i := range order {
		grant := record.Generation{Value: w.grant(i), At: made.Add(-24 * time.Hour), Source: "put"}
		put(record.Grant{Name: grantName(i), Generation: grant}.Encode())
	}
	writes.Go(func() error { return s.Put(ctx, recs...) })
	if w.wechat != nil {
		for i := range o.listed {
			w.wechat.AddCustomer(platformID, customer(o.n+i))
		}
	}
	return writes.Wait()
}

// credential returns the record of a value with lifetime life, of which left remains at the time
// at.
func (w *world) credential(name string, value secret.Text, at time.Time, left, life time.Duration) record.Record {
	c := record.Credential{Name: name, Value: value, Boot: w.boot, Life: life}
	c.Issued = moment(at.Add(left - life))
	c.Seen = c.Issued
	c.End = moment(at.Add(left))
	if strings.HasSuffix(name, "_ticket") {
		c.Stamp = c.Issued.Wall
	}
	return c.Encode()
}

// moment returns t as the daemon would have recorded it.
func moment(t time.Time) record.Moment {
	m := record.Moment{Wall: t.Round(0)}
	if since := boot.Clock(); since != nil {
		m.Since = since() + time.Until(t)
	}
	return m
}

// readKey returns the key in file, and creates the file if it does not exist; nil for no file.
func readKey(file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		text = []byte(strings.Repeat("5eed", 16)) // it protects no secret
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != store.KeySize {
		return nil, fmt.Errorf("%s: a key is %d hex digits", file, 2*store.KeySize)
	}
	return key, nil
}

// configure writes the configuration.
func (w *world) configure(o *options) error {
	var b strings.Builder
	fmt.Fprintf(&b, "socket    = %q\nstate_dir = %q\nlog_level = \"warn\"\n", o.socket, o.state)
	if o.key != "" {
		fmt.Fprintf(&b, "encryption_key = { file = %q }\n", o.key)
	}
	fmt.Fprintf(&b, "\n[upstream]\nweixin_url = %q\nwork_url   = %q\n", w.url, w.url)
	fmt.Fprintf(&b, "\n[[open_platform]]\napp_id  = %q\nsecret  = %q\ntoken   = %q\naes_key = %q\n", platformID, secretText, signToken, aesKey)
	for i := range o.accounts {
		fmt.Fprintf(&b, "\n[[official_account]]\napp_id = %q\nsecret = %q\n", account(i), secretText)
	}
	return os.WriteFile(o.config, []byte(b.String()), 0o600)
}
