package protocol

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The functions of this file read replies, for clients. They are strict: what they
// accept, the functions of reply.go can write. The words of a vocabulary (states,
// causes, keys, codes) are not checked against a list, since a newer server may know more.

// ErrMalformed is what every line that is no reply of this protocol comes back as.
// A connection that has brought one is out of step and must be dropped.
var ErrMalformed = errors.New("protocol: malformed reply")

// malformed says what was expected and nothing of what came: a reply out of step
// may be somebody's token.
func malformed(want string) error { return fmt.Errorf("%w: want %s", ErrMalformed, want) }

// Listing is where a credential stands: a line of LIST, or a change that a
// watch tells of.
type Listing struct {
	Name string

	// State is fresh, stale, expired, waiting, held or idle; see the
	// specification under LIST.
	State string

	// TTL is how long the value is still valid, in whole seconds; zero where
	// there is no value, or none that ends.
	TTL time.Duration
}

// Attempt is one refresh: a line of HISTORY.
type Attempt struct {
	Time    time.Time // to the second, UTC
	Cause   string    // schedule, read, reject, refresh, parent, push, start
	Outcome string    // ok, same, or why it failed
	ErrCode int       // WeChat's errcode; 0 where there was none
	RID     string    // what WeChat's support asks for; "" where there is none
	Took    time.Duration
}

// Signature is the reply to SIGN: what a page hands to wx.config, with the
// address that was signed.
type Signature struct {
	Timestamp int64 // Unix seconds
	Nonce     string
	Signature string // 40 hexadecimal digits
}

// ParseReply reads the first line of a reply, without its terminator. For OK
// it returns what follows it, "" where nothing does; for ERR the error is the
// [*Error] that was sent; anything else is [ErrMalformed].
func ParseReply(line string) (fields string, err error) {
	if !printable(line) {
		return "", malformed("a line of printable UTF-8")
	}
	switch word, rest, more := strings.Cut(line, " "); {
	case word == "ERR":
		return "", parseError(rest)
	case word != "OK":
		return "", malformed("OK or ERR")
	case more && !singleSpaced(rest):
		return "", malformed("fields separated by one space")
	default:
		return rest, nil
	}
}

// parseError reads <code> <retry_after> <message>.
func parseError(fields string) error {
	code, fields, _ := strings.Cut(fields, " ")
	wait, message, ok := strings.Cut(fields, " ")
	if !ok || !validCode(code) || message == "" || len(message) > MaxMessage || strings.TrimSpace(message) != message {
		return malformed("ERR <code> <retry_after> <message>")
	}
	e := &Error{Code: Code(code), RetryAfter: Never, Message: message}
	if wait != "-" {
		n, ok := parseNumber(wait)
		if !ok {
			return malformed("a retry_after of whole seconds, or -")
		}
		e.RetryAfter = seconds(n)
	}
	return e
}

// ParseValue reads the fields of an OK to GET, REJECT or REFRESH.
func ParseValue(fields string) (ttl time.Duration, value string, err error) {
	t, value, ok := strings.Cut(fields, " ")
	n, isNumber := parseNumber(t)
	if !ok || !isNumber || n < 1 || !ValidValue(value) {
		return 0, "", malformed("OK <ttl> <value>")
	}
	return seconds(n), value, nil
}

// ParseVersion reads the fields of an OK to VERSION and returns the daemon's
// version. Another number than 1 behind "protocol" is not this protocol.
func ParseVersion(fields string) (version string, err error) {
	f := strings.Split(fields, " ")
	if len(f) != 4 || f[0] != "tokend" || f[1] == "" || f[2] != "protocol" || f[3] != "1" {
		return "", malformed("OK tokend <version> protocol 1")
	}
	return f[1], nil
}

// ParseSignature reads the fields of an OK to SIGN.
func ParseSignature(fields string) (Signature, error) {
	f := strings.Split(fields, " ")
	if len(f) != 3 || f[1] == "" || f[2] == "" {
		return Signature{}, malformed("OK <timestamp> <nonce> <signature>")
	}
	n, ok := parseNumber(f[0])
	if !ok {
		return Signature{}, malformed("a timestamp in Unix seconds")
	}
	return Signature{Timestamp: n, Nonce: f[1], Signature: f[2]}, nil
}

// ParseCustomer reads the fields of an OK to EXCHANGE and returns whose grant it was, as
// family/owner/child.
func ParseCustomer(fields string) (customer string, err error) {
	if checkCustomer(fields) != "" {
		return "", malformed("OK <family>/<owner>/<child>")
	}
	return fields, nil
}

// ParseCount reads the field of an OK to LIST, STATUS, HISTORY, STATS and WATCH:
// how many lines follow.
func ParseCount(fields string) (int, error) {
	n, ok := parseNumber(fields)
	if !ok || n > maxCount {
		return 0, malformed("OK <n>")
	}
	return int(n), nil
}

// maxCount is the longest list that is believed: ten times the customers that
// the largest platform is known to have, and an int everywhere.
const maxCount = 100_000_000

// ParseListing reads a line of LIST, or of the list that WATCH begins with.
func ParseListing(line string) (Listing, error) {
	f := strings.Split(line, " ")
	if len(f) != 3 || !ValidName(f[0]) || !lowerWord(f[1]) {
		return Listing{}, malformed("<name> <state> <ttl>")
	}
	l := Listing{Name: f[0], State: f[1]}
	if f[2] != "-" {
		n, ok := parseNumber(f[2])
		if !ok || n < 1 {
			return Listing{}, malformed("a ttl of whole seconds, or -")
		}
		l.TTL = seconds(n)
	}
	return l, nil
}

// ParseChanged reads what a watch is sent after its list. For the ERR that ends one the error is
// the *[Error].
func ParseChanged(line string) (Listing, error) {
	if strings.HasPrefix(line, "ERR ") {
		_, err := ParseReply(line)
		return Listing{}, err
	}
	rest, ok := strings.CutPrefix(line, "CHANGED ")
	if !ok {
		return Listing{}, malformed("CHANGED <name> <state> <ttl>")
	}
	return ParseListing(rest)
}

// ParsePair reads a line of STATUS or STATS. The value may hold spaces; "-" is none
// and comes back as it is.
func ParsePair(line string) (key, value string, err error) {
	key, value, ok := strings.Cut(line, " ")
	if !ok || key == "" || value == "" || !printable(line) || strings.TrimSpace(value) != value {
		return "", "", malformed("<key> <value>")
	}
	return key, value, nil
}

// ParseAttempt reads a line of HISTORY.
func ParseAttempt(line string) (Attempt, error) {
	bad := malformed("<time> <cause> <outcome> errcode=<n> rid=<text> ms=<n>")
	f := strings.Split(line, " ")
	if len(f) != 6 || !lowerWord(f[1]) || !lowerWord(f[2]) {
		return Attempt{}, bad
	}
	at, err := time.Parse(time.RFC3339, f[0])
	if err != nil {
		return Attempt{}, bad
	}
	code, err := strconv.ParseInt(strings.TrimPrefix(f[3], "errcode="), 10, 32) // -1 is one: system busy
	if err != nil {
		return Attempt{}, bad
	}
	ms, ok := parseNumber(strings.TrimPrefix(f[5], "ms="))
	if !ok {
		return Attempt{}, bad
	}
	a := Attempt{
		Time:    at.UTC(),
		Cause:   f[1],
		Outcome: f[2],
		ErrCode: int(code),
		RID:     strings.TrimPrefix(f[4], "rid="),
		Took:    time.Duration(min(ms, maxSeconds)) * time.Millisecond,
	}
	if a.RID == "-" {
		a.RID = ""
	}
	// There is one way to write it, so everything that was let through above and is
	// written otherwise (a time with an offset, a label that is missing) is none.
	if again := AppendAttempt(nil, a); string(again[:len(again)-1]) != line {
		return Attempt{}, bad
	}
	return a, nil
}
