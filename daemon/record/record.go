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
	Exchanged   Table = "exchanged"
	Keys        Table = "key" // random bytes of this store's own
)

// Irreplaceable reports whether WeChat gives what t keeps only once: a grant is the
// customer's, and a code that was acknowledged is not sent again. All else can be fetched anew,
// or is a matter of hours.
func (t Table) Irreplaceable() bool { return t == Grants || t == Codes }

// Record is one durable fact: what Value says of Key. A record with a nil
// Value, handed to a store, deletes the key.
type Record struct {
	Table Table
	Key   string
	Value []byte
}
