package cluster

import (
	"fmt"
	"strings"

	"tokend/daemon/cluster/seal"
	"tokend/daemon/record"
)

// keys translates between records and the keys and values of etcd.
type keys struct {
	prefix string
	sealer *seal.Sealer
}

// letters are the tables as etcd's keys name them. A code and what it was exchanged for have the
// same key: the second replaces the first.
var letters = map[record.Table]string{
	record.Credentials: "c",
	record.Grants:      "g",
	record.Holds:       "h",
	record.Budgets:     "b",
	record.Codes:       "q",
	record.Exchanged:   "q",
	record.Keys:        "k",
	record.Claims:      "l",
}

// tables is the reverse of letters, but for q: see marks.
var tables = map[string]record.Table{
	"c": record.Credentials,
	"g": record.Grants,
	"h": record.Holds,
	"b": record.Budgets,
	"k": record.Keys,
	"l": record.Claims,
}

// marks begin the records under q, and tell which table they are of.
var marks = map[byte]record.Table{'c': record.Codes, 's': record.Exchanged}

func mark(t record.Table) byte {
	if t == record.Exchanged {
		return 's'
	}
	return 'c'
}

// of returns the key of a record.
func (k *keys) of(table record.Table, name string) string {
	letter := letters[table]
	return k.prefix + "/" + letter + "/" + k.sealer.ID(letter, name)
}

// put returns the operation that stores r.
func (k *keys) put(r record.Record) Op {
	key, value := k.of(r.Table, r.Key), r.Value
	if letters[r.Table] == "q" {
		value = append([]byte{mark(r.Table)}, value...)
	}
	return Op{Verb: Put, Key: key, Value: k.sealer.Seal(key, r.Key, value)}
}

// change returns the operation that stores r, or deletes its key if r has no value.
func (k *keys) change(r record.Record) Op {
	if r.Value == nil {
		return Op{Verb: Delete, Key: k.of(r.Table, r.Key)}
	}
	return k.put(r)
}

// open returns the record that a present key has. Its Revision is that of the last change.
func (k *keys) open(kv KeyValue) (record.Record, error) {
	letter, id, ok := k.split(kv.Key)
	table := tables[letter]
	if !ok || table == "" && letter != "q" || len(id) != seal.IDSize { // or of a cluster with a longer prefix
		return record.Record{}, fmt.Errorf("%s belongs to no table", kv.Key)
	}
	name, value, err := k.sealer.Open(kv.Key, kv.Value)
	if err != nil {
		return record.Record{}, fmt.Errorf("%s: %w", kv.Key, err)
	}
	if letter == "q" {
		if len(value) == 0 || marks[value[0]] == "" {
			return record.Record{}, fmt.Errorf("%s: %w", kv.Key, record.ErrCorrupt)
		}
		table, value = marks[value[0]], value[1:]
	}
	if k.of(table, name) != kv.Key {
		return record.Record{}, fmt.Errorf("%s is the key of another record: %w", kv.Key, seal.ErrSealed)
	}
	return record.Record{Table: table, Key: name, Value: value, Revision: kv.Modified}, nil
}

// split returns the letter of a key's table, and the rest.
func (k *keys) split(key string) (letter, id string, ok bool) {
	rest, ok := strings.CutPrefix(key, k.prefix+"/")
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, "/")
}
