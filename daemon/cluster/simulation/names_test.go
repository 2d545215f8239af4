package simulation

import (
	"strings"
	"sync"

	"tokend/daemon/cluster"
	"tokend/daemon/cluster/kvtest"
	"tokend/daemon/cluster/seal"
	"tokend/daemon/record"
)

// prefix is that of the cluster's keys.
const prefix = "/t"

// encryptionKey is that of all hosts.
var encryptionKey = []byte(strings.Repeat("k", seal.SecretSize))

// tables are the tables of shared records, by the letter of their keys.
var tables = map[string]record.Table{
	"c": record.Credentials, "g": record.Grants, "h": record.Holds, "b": record.Budgets, "k": record.Keys, "l": record.Claims,
}

// marks are those of the tables that have the same keys.
var marks = map[byte]record.Table{'c': record.Codes, 's': record.Exchanged}

// names reads what hosts have written to etcd, as a host could.
type names struct {
	mu     sync.Mutex
	sealer *seal.Sealer
	byKey  map[string]string // what a key is for
}

func newNames() *names { return &names{byKey: map[string]string{}} }

// open returns what is stored under a key. It reports false for what no table has.
func (n *names) open(etcd *kvtest.Etcd, kv cluster.KeyValue) (record.Record, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	letter, _, ok := strings.Cut(strings.TrimPrefix(kv.Key, prefix+"/"), "/")
	table := tables[letter]
	if !ok || table == "" && letter != "q" || len(kv.Value) == 0 || !n.ready(etcd) {
		return record.Record{}, false
	}
	name, value, err := n.sealer.Open(kv.Key, kv.Value)
	if err != nil {
		return record.Record{}, false
	}
	if letter == "q" && len(value) > 0 { // a code, or what it was exchanged for
		table = marks[value[0]]
		value = value[1:]
	}
	n.byKey[kv.Key] = name
	return record.Record{Table: table, Key: name, Value: value, Revision: kv.Modified}, true
}

// ready reports whether the cluster's secret is known. n.mu is held.
func (n *names) ready(etcd *kvtest.Etcd) bool {
	if n.sealer != nil {
		return true
	}
	key := prefix + "/v"
	stored := etcd.Keys(key)
	if len(stored) == 0 {
		return false
	}
	root, err := seal.OpenRoot(encryptionKey, key, stored[0].Value)
	if err == nil {
		n.sealer, err = seal.New(root.Secret)
	}
	return err == nil
}

// of returns what a key is for, as far as it was seen.
func (n *names) of(key string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if name := n.byKey[key]; name != "" {
		return name
	}
	return key
}

// transaction is what a transaction does to flights.
type transaction struct {
	step step
	what string // of the timeline
}

// read returns what t does. Its step is noStep if it concerns no flight; what is empty if it is not
// worth a line.
func (n *names) read(etcd *kvtest.Etcd, t cluster.Txn) transaction {
	var x transaction
	var parts []string
	stores, alone := false, false
	for _, op := range t.Then {
		letter, _, _ := strings.Cut(strings.TrimPrefix(op.Key, prefix+"/"), "/")
		switch {
		case op.Verb == cluster.Put && letter == "m":
			x.step = joins
			continue
		case op.Verb == cluster.Get || letter == "m" || letter == "n" || letter == "v":
			continue
		case op.Verb == cluster.Delete:
			if letter == "l" {
				x.step = gives
				parts = append(parts, "free "+n.of(op.Key))
			} else {
				parts = append(parts, "delete "+letter)
			}
			continue
		case letter != "l":
			r, _ := n.open(etcd, cluster.KeyValue{Key: op.Key, Value: op.Value})
			stores = stores || letter == "c" || letter == "g" || letter == "h"
			alone = alone || letter == "g" || letter == "q"
			parts = append(parts, "put "+letter+" "+shorten(r.Key))
			continue
		}
		r, _ := n.open(etcd, cluster.KeyValue{Key: op.Key, Value: op.Value})
		c, _ := record.DecodeClaim(r)
		if c.State == record.Doubtful {
			x.step = gives
			parts = append(parts, "doubt about "+r.Key)
		} else {
			x.step = claims
			parts = append(parts, "claim "+r.Key)
		}
	}
	switch {
	case x.step == gives && stores:
		x.step = lands
	case x.step == noStep && alone:
		x.step = writes
	}
	x.what = strings.Join(parts, ", ")
	return x
}
