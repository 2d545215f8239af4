package cluster_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/clock"
	"tokend/daemon/cluster"
	"tokend/daemon/cluster/kvtest"
	"tokend/daemon/cluster/seal"
	"tokend/daemon/record"
	"tokend/fetchers/secret"
)

// logbook is what a host logs.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// count returns how many lines contain all of parts.
func (l *logbook) count(parts ...string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		all := true
		for _, part := range parts {
			all = all && strings.Contains(line, part)
		}
		if all {
			n++
		}
	}
	return n
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// logTo makes a host log to l.
func logTo(l *logbook) func(*cluster.Config) {
	return func(cfg *cluster.Config) { cfg.Logger = hclog.New(&hclog.LoggerOptions{Output: l, Level: hclog.Info}) }
}

// machine has clocks that a test sets. Both show the true time plus an offset.
type machine struct {
	mu         sync.Mutex
	boot, wall time.Duration
	clock      *clock.Clock
}

func (m *machine) use(cfg *cluster.Config) {
	born := time.Now()
	boottime := func() time.Duration {
		m.mu.Lock()
		defer m.mu.Unlock()
		return time.Since(born) + m.boot
	}
	m.clock = clock.NewWall(boottime, func() time.Time {
		m.mu.Lock()
		defer m.mu.Unlock()
		return time.Now().Add(m.wall)
	})
	cfg.Clock = m.clock
}

// set sets both clocks forward, or back.
func (m *machine) set(boot, wall time.Duration) {
	m.mu.Lock()
	m.boot, m.wall = m.boot+boot, m.wall+wall
	m.mu.Unlock()
	m.clock.Resync()
}

// operator reads and writes etcd without a host.
type operator struct {
	t      *testing.T
	etcd   *kvtest.Etcd
	kv     cluster.KV
	sealer *seal.Sealer
}

// newOperator returns the operator of a cluster that a host has joined.
func newOperator(t *testing.T, etcd *kvtest.Etcd) *operator {
	t.Helper()
	root, err := seal.OpenRoot(testKey, "/tokend/v", etcd.Keys("/tokend/v")[0].Value)
	if err != nil {
		t.Fatal(err)
	}
	return &operator{t: t, etcd: etcd, kv: etcd.Client("operator").Dial("etcd1"), sealer: newSealer(t, root.Secret)}
}

func newSealer(t *testing.T, s secret.Text) *seal.Sealer {
	t.Helper()
	sealer, err := seal.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return sealer
}

var letters = map[record.Table]string{
	record.Credentials: "c", record.Grants: "g", record.Holds: "h", record.Budgets: "b", record.Codes: "q", record.Exchanged: "q", record.Claims: "l",
}

func (o *operator) key(table record.Table, name string) string {
	return "/tokend/" + letters[table] + "/" + o.sealer.ID(letters[table], name)
}

// do applies operations.
func (o *operator) do(ops ...cluster.Op) {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), time.Minute)
	defer cancel()
	if _, err := o.kv.Txn(ctx, cluster.Txn{Then: ops}); err != nil {
		o.t.Fatal(err)
	}
}

// put stores records at one revision. Those without a value are deleted.
func (o *operator) put(recs ...record.Record) {
	o.t.Helper()
	var ops []cluster.Op
	for _, r := range recs {
		op := cluster.Op{Verb: cluster.Delete, Key: o.key(r.Table, r.Key)}
		if r.Value != nil {
			value := r.Value
			if mark, ok := map[record.Table]byte{record.Codes: 'c', record.Exchanged: 's'}[r.Table]; ok {
				value = append([]byte{mark}, value...)
			}
			op.Verb, op.Value = cluster.Put, o.sealer.Seal(op.Key, r.Key, value)
		}
		ops = append(ops, op)
	}
	o.do(ops...)
}

// advance makes n changes, so that etcd's revision is high again after a restore.
func (o *operator) advance(n int) {
	o.t.Helper()
	for i := range n {
		o.put(credentialOf("other", fmt.Sprint(i), time.Now()))
	}
}

// raw stores bytes in place of a record.
func (o *operator) raw(key string, value []byte) {
	o.t.Helper()
	o.do(cluster.Op{Verb: cluster.Put, Key: key, Value: value})
}

// value returns what etcd has for a record.
func (o *operator) value(table record.Table, name string) []byte {
	for _, kv := range o.etcd.Keys(o.key(table, name)) {
		return kv.Value
	}
	return nil
}

// stored returns what etcd has, by table and name.
func (o *operator) stored() map[string]string {
	all := make(map[string]string)
	for _, kv := range o.etcd.Keys("/tokend/") {
		letter := strings.Split(kv.Key, "/")[2]
		for table, l := range letters {
			if l != letter {
				continue
			}
			name, value, err := o.sealer.Open(kv.Key, kv.Value)
			if err != nil {
				o.t.Errorf("%s: %v", kv.Key, err)
				continue
			}
			if letter == "q" {
				if (value[0] == 's') != (table == record.Exchanged) {
					continue
				}
				value = value[1:]
			}
			all[string(table)+" "+name] = fmt.Sprintf("%x at %d", value, kv.Modified)
		}
	}
	return all
}

// copies returns what a host has.
func (n *node) copies() map[string]string {
	all := make(map[string]string)
	for table := range letters {
		for r, err := range n.Store().All(table) {
			if err != nil {
				n.t.Error(err)
			}
			all[string(table)+" "+r.Key] = fmt.Sprintf("%x at %d", r.Value, r.Revision)
		}
	}
	return all
}

// check checks that hosts have exactly what etcd has.
func (o *operator) check(when string, nodes ...*node) {
	o.t.Helper()
	want := o.stored()
	for i, n := range nodes {
		if got := n.copies(); !maps.Equal(got, want) {
			o.t.Errorf("%s: host %d differs from etcd:\n%s", when, i, difference(got, want))
		}
	}
}

func difference(got, want map[string]string) (text string) {
	for k, v := range want {
		if got[k] != v {
			text += fmt.Sprintf("  %s: got %.60q, want %.60q\n", k, got[k], v)
		}
	}
	for k, v := range got {
		if _, ok := want[k]; !ok {
			text += fmt.Sprintf("  %s: got %.60q, want none\n", k, v)
		}
	}
	return text
}

// confirmed checks that a host has had contact within the last heartbeats.
func (n *node) confirmed(when string) {
	n.t.Helper()
	if s := n.Stats(); !s.Connected || s.ConfirmedAge > 11*time.Second {
		n.t.Errorf("%s: no contact for %v", when, s.ConfirmedAge)
	}
}

// Records with the times of a host that was started an hour after its boot.

func moment(at time.Time) record.Moment { return record.Moment{Wall: at, Since: time.Hour} }

func credentialOf(name, value string, issued time.Time) record.Record {
	return record.Credential{
		Name: name, Value: secret.Text(value), Boot: "unknown", Issued: moment(issued), Seen: moment(issued),
		End: moment(issued.Add(2 * time.Hour)), Life: 2 * time.Hour,
	}.Encode()
}

func grantOf(name, value string, number uint64) record.Record {
	at := time.Date(2000, 1, 1, 0, 0, int(number), 0, time.UTC)
	return record.Grant{
		Name: name, Generation: record.Generation{Value: secret.Text(value), At: at, Source: "rotation"}, Number: number,
	}.Encode()
}

func holdOf(name, message string) record.Record {
	return record.Hold{Name: name, Reason: 1, Message: message, Boot: "unknown", Since: moment(time.Now())}.Encode()
}

func budgetOf(name string, calls int, last time.Time) record.Record {
	return record.Budget{Key: name, Window: 24 * time.Hour, Boot: "unknown", Slices: []record.Slice{{
		First: moment(last), Last: moment(last), Calls: calls,
	}}}.Encode()
}

func codeOf(key, value string) record.Record {
	return record.Code{Owner: "open_platform/wxp", Value: secret.Text(value), Boot: "unknown", Until: moment(time.Now().Add(2 * time.Hour))}.Encode(key)
}

func spentOf(key string) record.Record {
	return record.Spent{Owner: "open_platform/wxp", Child: "wxc", Boot: "unknown", Until: moment(time.Now().Add(2 * time.Hour))}.Encode(key)
}

func deletionOf(table record.Table, name string) record.Record {
	return record.Record{Table: table, Key: name}
}
