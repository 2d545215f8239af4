package record

// Key is random bytes that belong to one store. The first run generates them.
type Key struct {
	Name  string
	Bytes []byte
}

// Restored is the name of the key that marks a store created from a backup. It is deleted together
// with the values that may have been superseded since the backup. Its bytes have no meaning.
const Restored = "restored"

// keyVersion is the first byte of an encoded key:
//
//	version bytes
const keyVersion = 1

// Encode returns the record of k.
func (k Key) Encode() Record {
	e := encoder{keyVersion}
	e.text(string(k.Bytes))
	return Record{Table: Keys, Key: k.Name, Value: e}
}

// DecodeKey is the reverse of Encode. It fails with [ErrVersion] or [ErrCorrupt].
func DecodeKey(r Record) (Key, error) {
	d := decode(r.Value, keyVersion)
	k := Key{Name: r.Key, Bytes: []byte(d.text())}
	if d.err != nil {
		return Key{}, d.err
	}
	return k, nil
}
