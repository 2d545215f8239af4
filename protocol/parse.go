package protocol

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The functions of this file parse replies, for clients. They are strict: they accept only what the
// functions of reply.go can write. States, causes, keys and codes are not checked against a list,
// since a newer server may send others.

// ErrMalformed is the error for a line that is not a reply of this protocol. The client must close
// a connection that delivers such a line: requests and replies no longer match.
var ErrMalformed = errors.New("protocol: malformed reply")

// malformed names the expected form and shows nothing of the line, which may be another request's
// token.
func malformed(want string) error { return fmt.Errorf("%w: want %s", ErrMalformed, want) }

// Listing is the state of one credential: a line of LIST, or a change that WATCH reports.
type Listing struct {
	Name string

	// State is fresh, stale, expired, waiting, held or idle; see LIST in the specification.
	State string

	// TTL is the remaining lifetime in whole seconds. It is zero if there is no value, or if the
	// value does not expire.
	TTL time.Duration
}

// Attempt is one refresh: a line of HISTORY.
type Attempt struct {
	Time    time.Time // in whole seconds, UTC
	Cause   string    // schedule, read, reject, refresh, parent, push, start
	Outcome string    // ok, same, or the reason of the failure
	ErrCode int       // WeChat's errcode, or 0
	RID     string    // WeChat's request id for its support, or ""
	Took    time.Duration
}

// Signature is the reply to SIGN. A page passes its fields to wx.config, for the signed URL.
type Signature struct {
	Timestamp int64 // Unix seconds
	Nonce     string
	Signature string // 40 hexadecimal digits
}

// ParseReply reads the first line of a reply, without its terminator. For OK it returns the fields,
// or "" if there are none. For ERR the error is the received [*Error]. Any other line is
// [ErrMalformed].
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

// ParseVersion reads the fields of an OK to VERSION and returns the daemon's version. It accepts
// protocol 1 only.
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

// ParseCustomer reads the fields of an OK to EXCHANGE and returns the customer, as
// family/owner/child.
func ParseCustomer(fields string) (customer string, err error) {
	if checkCustomer(fields) != "" {
		return "", malformed("OK <family>/<owner>/<child>")
	}
	return fields, nil
}

// ParseCount reads the field of an OK to LIST, STATUS, HISTORY, STATS and WATCH: the number of
// lines that follow.
func ParseCount(fields string) (int, error) {
	n, ok := parseNumber(fields)
	if !ok || n > maxCount {
		return 0, malformed("OK <n>")
	}
	return int(n), nil
}

// maxCount is the longest list that a client accepts: ten times the customers of the largest known
// platform. It fits into an int on every system.
const maxCount = 100_000_000

// ParseListing reads a line of LIST, or of the list at the beginning of WATCH.
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

// ParseChanged reads a line of WATCH after the list. If the line is the ERR that ends the watch,
// the error is the [*Error].
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

// ParsePair reads a line of STATUS or STATS. The value may contain spaces. "-", which means none,
// is returned unchanged.
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
	code, err := strconv.ParseInt(strings.TrimPrefix(f[3], "errcode="), 10, 32) // may be negative: -1 is "system busy"
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
	// An attempt has exactly one written form. This rejects other forms that the parsing above
	// accepts, such as a time with an offset or a missing label.
	if again := AppendAttempt(nil, a); string(again[:len(again)-1]) != line {
		return Attempt{}, bad
	}
	return a, nil
}
