package protocol

import (
	"bytes"
	"fmt"
)

// Request is one parsed request. The zero value is ready for Parse and can
// be used again and again.
type Request struct {
	Verb Verb

	// Args holds the fields after the verb. They alias the line that was
	// parsed and are valid as long as its bytes are left alone; whoever keeps one
	// longer copies it.
	Args [MaxArgs][]byte

	// N is how many of Args there are. The rest are nil, a prefix or an offset that was
	// left out among them.
	N int
}

// Parse reads one line without its terminator; see [CutLine]. A nil error
// means that the verb exists, that it has the fields it needs and no more, and that each
// of them is well-formed. Otherwise r is the zero Request and the error is an
// [*Error] with [BadRequest] that can be sent as it is: it says what to
// do, and it repeats nothing of a line that may carry a value. Parse
// does not allocate unless it fails.
func (r *Request) Parse(line []byte) error {
	*r = Request{}
	if err := r.parse(line); err != nil {
		*r = Request{}
		return err
	}
	return nil
}

func (r *Request) parse(line []byte) *Error {
	if len(line) == 0 {
		return badRequest("an empty line is no request")
	}
	word, rest, more := bytes.Cut(line, space)
	verb, ok := ParseVerb(word)
	if !ok {
		return unknownVerb(word)
	}
	f := &forms[verb]
	for more {
		if r.N == f.max {
			return badRequest("too many fields; the form is: %s", f.usage)
		}
		var arg []byte
		arg, rest, more = bytes.Cut(rest, space)
		if len(arg) == 0 {
			return badRequest("two spaces in a row, or one at the end; the form is: %s", f.usage)
		}
		if wrong := check(f.fields[r.N], arg); wrong != "" {
			return badRequest("%s: %s", verb, wrong)
		}
		r.Args[r.N] = arg
		r.N++
	}
	if r.N < f.min {
		return badRequest("a field is missing; the form is: %s", f.usage)
	}
	r.Verb = verb
	return nil
}

var space = []byte{' '}

// AppendRequest appends the request line of verb, LF included, for a
// client to send. A prefix or offset that is "" is left out. Its error is the *Error that a server
// would answer: an argument with a space or a newline in it never becomes a
// request, whatever it was meant to become. dst is then returned as it was.
func AppendRequest(dst []byte, verb Verb, args ...string) ([]byte, error) {
	if verb == 0 || int(verb) >= len(forms) {
		return dst, badRequest("no such verb: %s", verb)
	}
	f := &forms[verb]
	if n := len(args); n > 0 && args[n-1] == "" && n <= f.max && f.fields[n-1].optional() {
		args = args[:n-1]
	}
	if len(args) < f.min || len(args) > f.max {
		return dst, badRequest("%d fields; the form is: %s", len(args), f.usage)
	}
	start := len(dst)
	dst = append(dst, f.word...)
	for i, arg := range args {
		if wrong := check(f.fields[i], arg); wrong != "" {
			return dst[:start], badRequest("%s: %s", verb, wrong)
		}
		dst = append(dst, ' ')
		dst = append(dst, arg...)
	}
	return append(dst, '\n'), nil
}

// badRequest is an error that asking again does not mend.
func badRequest(format string, args ...any) *Error {
	return &Error{Code: BadRequest, RetryAfter: Never, Message: fmt.Sprintf(format, args...)}
}
