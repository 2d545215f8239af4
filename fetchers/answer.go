package fetchers

import (
	"errors"
	"net/http"
	"strconv"
)

// readAnswer reads the answer to q with read, unless it is a rejection or not an answer.
//
// WeChat rejects calls with HTTP 200 and an errcode. Any other status comes from an intermediary
// and is a transient fault, even if it carries an errcode. A gateway's "wrong secret" must not stop
// a working account for an hour.
//
// The answer to a call that uses up a code is read even if something else in it is wrong: WeChat
// never sends the grant again.
func readAnswer[T any](q call, status int, body []byte, read func(object) (T, error)) (T, error) {
	var none T
	o, err := parseObject(body)
	if err != nil {
		o = object{}
	}
	code, unclear := o.errcode()
	if q.effect == spends && err == nil && code == 0 {
		if answer, err := read(o); err == nil {
			return answer, nil
		}
	}
	switch {
	case status != http.StatusOK:
		return none, q.nonsense(&statusError{status: status, errcode: code})
	case err != nil:
		return none, q.nonsense(err)
	case unclear != nil:
		return none, q.nonsense(unclear)
	case code != 0:
		return none, q.refusal(code, o.errmsg())
	case !o.whole:
		return none, q.nonsense(errBroken)
	}
	answer, err := read(o)
	if refusal, ok := errors.AsType[*APIError](err); ok {
		return none, refusal
	}
	if err != nil {
		return none, q.nonsense(err)
	}
	return answer, nil
}

// token reads the credential that q fetches.
func (q *call) token(o object) (Token, error) {
	value, err := o.value(q.field)
	if err != nil {
		return Token{}, err
	}
	life, err := o.life()
	if err != nil {
		return Token{}, err
	}
	return Token{Value: value, ExpiresIn: life}, nil
}

// statusError reports an HTTP status that WeChat does not use.
type statusError struct {
	status  int
	errcode int // errcode in the same answer; zero if none
}

func (e *statusError) Error() string {
	text := "HTTP " + strconv.Itoa(e.status)
	if e.errcode != 0 {
		text += ", errcode=" + strconv.Itoa(e.errcode)
	}
	return text
}

// nonsense returns the error for an invalid answer.
func (q *call) nonsense(err error) error {
	return &TransportError{Endpoint: q.path, Sent: true, Err: err}
}

// refusal returns the error for an errcode.
func (q *call) refusal(code int, errmsg string) error {
	msg := q.scrubber().text(errmsg)
	e := &APIError{Endpoint: q.path, Code: code, RID: ridOf(msg), IP: addressOf(msg)}
	e.Reaction, e.Pause = q.reaction(code)
	e.Errmsg = cut(msg, maxErrmsg)
	e.Msg = e.Errmsg
	if own := words(q.platform, code); own != "" {
		e.Msg = own
		if e.Reaction == AddressRefused && e.IP != "" {
			e.Msg += ": " + e.IP
		}
		if e.RID != "" {
			e.Msg += " rid: " + e.RID
		}
	}
	return e
}
