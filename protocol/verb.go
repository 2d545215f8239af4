package protocol

import "fmt"

// Verb is the first word of a request. The numbers are not on the wire.
type Verb uint8

// The verbs of protocol 1. The zero Verb is not a verb.
const (
	VerbPing Verb = iota + 1
	VerbVersion
	VerbGet
	VerbReject
	VerbRefresh
	VerbPut
	VerbExchange
	VerbPush
	VerbImport
	VerbSign
	VerbList
	VerbStatus
	VerbHistory
	VerbStats
	VerbWatch
	VerbBackup
	VerbReload
	VerbQuit
)

// MaxArgs is the largest number of fields that can follow a verb.
const MaxArgs = 5

// form describes a verb's requests: the word, its fields, and how many of them are required. Error
// messages show usage.
type form struct {
	word   string
	key    uint64 // word, packed; see pack
	fields [MaxArgs]field
	min    int
	max    int
	usage  string
}

// forms is the grammar of requests. A new verb needs a constant above, a line here and a section in
// docs/protocol.md. Parsing, writing and the tests use this table.
var forms = [...]form{
	VerbPing:     request("PING", "PING"),
	VerbVersion:  request("VERSION", "VERSION"),
	VerbGet:      request("GET", "GET <name>", name),
	VerbReject:   request("REJECT", "REJECT <name> <value>", name, value),
	VerbRefresh:  request("REFRESH", "REFRESH <name>", name),
	VerbPut:      request("PUT", "PUT <name> <value>", name, value),
	VerbExchange: request("EXCHANGE", "EXCHANGE <owner> <auth_code>", owner, code),
	VerbPush:     request("PUSH", "PUSH <owner> <msg_signature> <timestamp> <nonce> <encrypt>", owner, msgSignature, timestamp, nonce, encrypt),
	VerbImport:   request("IMPORT", "IMPORT <owner> [offset]", owner, offset),
	VerbSign:     request("SIGN", "SIGN <name> <url>", name, url),
	VerbList:     request("LIST", "LIST [prefix]", prefix),
	VerbStatus:   request("STATUS", "STATUS <name>", name),
	VerbHistory:  request("HISTORY", "HISTORY <name>", name),
	VerbStats:    request("STATS", "STATS"),
	VerbWatch:    request("WATCH", "WATCH [prefix]", prefix),
	VerbBackup:   request("BACKUP", "BACKUP"),
	VerbReload:   request("RELOAD", "RELOAD"),
	VerbQuit:     request("QUIT", "QUIT"),
}

// request returns a form. All fields up to the last required field are required.
func request(word, usage string, fields ...field) form {
	f := form{word: word, key: pack([]byte(word)), max: len(fields), usage: usage}
	for i, k := range fields {
		f.fields[i] = k
		if !k.optional() {
			f.min = i + 1
		}
	}
	return f
}

// String returns the word of v in upper case.
func (v Verb) String() string {
	if v == 0 || int(v) >= len(forms) {
		return fmt.Sprintf("Verb(%d)", uint8(v))
	}
	return forms[v].word
}

// ParseVerb returns the verb that word names, in any letter case. ok is false if there is none.
func ParseVerb[T text](word T) (v Verb, ok bool) {
	k := pack(word)
	for v := VerbPing; int(v) < len(forms); v++ {
		if f := &forms[v]; f.key == k && len(f.word) == len(word) {
			return v, true
		}
	}
	return 0, false
}

// Verbs returns every verb, in the order of the specification.
func Verbs() []Verb {
	all := make([]Verb, 0, len(forms)-1)
	for v := VerbPing; int(v) < len(forms); v++ {
		all = append(all, v)
	}
	return all
}

// maxVerb is the length of the longest word that pack can represent.
const maxVerb = 8

// pack packs a verb's word into one number, ignoring letter case, so that ParseVerb finds the form
// without allocating. Clearing bit 5 makes a letter upper case and never turns another character
// into a letter. Among words of one length, each word of letters therefore has its own number. pack
// returns 0, which no verb has, for an empty word or a word that is too long.
func pack[T text](word T) (k uint64) {
	if len(word) > maxVerb {
		return 0
	}
	for i := range len(word) {
		k = k<<8 | uint64(word[i]&^0x20)
	}
	return k
}
