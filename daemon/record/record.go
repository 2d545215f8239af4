package record

// Table is the type of a record. The names are part of the disk format.
type Table string

// Tables.
const (
	Credentials Table = "credential"
	Holds       Table = "hold"
	Budgets     Table = "budget"
	Grants      Table = "grant"
	Codes       Table = "code"
	Exchanged   Table = "exchanged"
	Keys        Table = "key" // random bytes of this store
	Histories   Table = "history"

	Claims Table = "claim" // of a host that is calling; shared between hosts, never on disk
	Offers Table = "offer" // what a host has not stored in etcd yet; on its own disk only
)

// Irreplaceable reports whether records of t cannot be obtained again. A grant is the customer's
// authorization, and WeChat does not repeat an acknowledged code. An offer may contain one of them.
// All other records can be fetched again or expire within hours.
func (t Table) Irreplaceable() bool { return t == Grants || t == Codes || t == Offers }

// Record is one durable entry. Storing a record with a nil Value deletes the key.
type Record struct {
	Table Table
	Key   string
	Value []byte

	// Revision is the revision in etcd that the record is a copy of. It is zero outside a cluster,
	// and for a record that is not in etcd.
	Revision int64
}
