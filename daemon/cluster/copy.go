package cluster

import "tokend/daemon/record"

// reader reads this host's records.
type reader interface {
	Get(table record.Table, key string) (record.Record, error)
}

// copyOf returns the copy of a record. Its Value is nil if there is none. A code and what it was
// exchanged for have one key in etcd, so at most one of the two is present.
func copyOf(from reader, table record.Table, key string) (record.Record, error) {
	r, err := from.Get(table, key)
	if err != nil || r.Value != nil || letters[table] != "q" {
		return r, err
	}
	other := record.Codes
	if table == record.Codes {
		other = record.Exchanged
	}
	return from.Get(other, key)
}
