package credential

// Class says how a credential gets its values.
type Class uint8

// Classes.
const (
	Fetched Class = iota // from WeChat, on demand
	Pushed               // by WeChat
	Grant                // by a customer, once; write-only
)
