package record

// Table is the kind of thing a record keeps. The names are part of the
// disk format.
type Table string

// Tables.
const (
	Credentials Table = "credential"
	Holds       Table = "hold"
	Budgets     Table = "budget"
	Grants      Table = "grant"
	Codes       Table = "code"
)

// Record is one durable fact: what Value says of Key. A record with a nil
// Value, handed to a store, deletes the key.
type Record struct {
	Table Table
	Key   string
	Value []byte
}
