package protocol

import (
	"bytes"
	"fmt"
)

// Request is one parsed request. The zero value is ready for Parse, and a Request can be reused.
type Request struct {
	Verb Verb

	// Args holds the fields after the verb. They alias the parsed line and are valid until its
	// bytes change.
	Args [MaxArgs][]byte

	// N is the number of Args. The others are nil, including a prefix or an offset that was left
	// out.
	N int
}

// Parse reads one line without its terminator; see [CutLine]. If the error is nil, the verb exists,
// the number of fields is right, and each field is well-formed. Otherwise r is the zero Request,
// and the error is an [*Error] with [BadRequest] that can be sent as it is. The error names the
// correct form and repeats nothing of the line, which may contain a value. Parse allocates only if
// it fails.
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
		return badRequest("the line is empty")
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
		if err := r.add(verb, f, arg); err != nil {
			return err
		}
	}
	if r.N < f.min {
		return badRequest("a field is missing; the form is: %s", f.usage)
	}
	r.Verb = verb
	return nil
}

// add adds the next field of verb, whose form is f, unless it is malformed.
func (r *Request) add(verb Verb, f *form, arg []byte) *Error {
	if wrong := check(f.fields[r.N], arg); wrong != "" {
		return badRequest("%s: %s", verb, wrong)
	}
	r.Args[r.N] = arg
	r.N++
	return nil
}

// Fill is [Request.Parse] for fields that have been separated in another way. ok is false if the
// number of fields is wrong; r is then the zero Request, and there is no error.
func (r *Request) Fill(verb Verb, fields [][]byte) (ok bool, err error) {
	*r = Request{}
	f := &forms[verb]
	if len(fields) < f.min || len(fields) > f.max {
		return false, nil
	}
	for _, arg := range fields {
		if err := r.add(verb, f, arg); err != nil {
			*r = Request{}
			return true, err
		}
	}
	r.Verb = verb
	return true, nil
}

var space = []byte{' '}

// AppendRequest appends the request line of verb with its LF, for a client to send. An empty prefix
// or offset is left out. If an argument is not well-formed, AppendRequest returns dst unchanged and
// the *Error that a server would reply. An argument with a space or a newline therefore never
// becomes a second field or request.
func AppendRequest(dst []byte, verb Verb, args ...string) ([]byte, error) {
	if verb == 0 || int(verb) >= len(forms) {
		return dst, badRequest("unknown verb %s", verb)
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

// badRequest returns an error for which a retry does not help.
func badRequest(format string, args ...any) *Error {
	return &Error{Code: BadRequest, RetryAfter: Never, Message: fmt.Sprintf(format, args...)}
}
