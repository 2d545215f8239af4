package sandbox

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tokend/fetchers/wechattest"
)

// FaultWords explains the input of ParseFault.
const FaultWords = `
  which calls:      endpoint=PATH  account=ID  times=N (only the first N)
  before them:      delay=2s
  instead of them:  errcode=N  status=N (of HTTP)  cut (close the connection)
  after them:       lost (no answer)  hang  expires_in=JSON (or omit)  no_value
                    no_grant (an empty grant)  no_tokens (of api_query_auth)
                    body=truncated, html, empty or huge
`

// ParseFault reads a fault such as "errcode=45009,endpoint=/cgi-bin/token,times=3".
func ParseFault(s string) (wechattest.Fault, error) {
	var f wechattest.Fault
	for part := range strings.SplitSeq(s, ",") {
		key, value, given := strings.Cut(part, "=")
		if err := setFault(&f, key, value, given); err != nil {
			return f, fmt.Errorf("%q: %w", part, err)
		}
	}
	return f, nil
}

func setFault(f *wechattest.Fault, key, value string, given bool) (err error) {
	switch key {
	case "cut", "lost", "hang", "no_value", "no_grant", "no_tokens":
		if given {
			return errors.New("has no value")
		}
	default:
		if value == "" {
			return errors.New("unknown, or the value is missing")
		}
	}
	switch key {
	case "endpoint":
		f.Endpoint = value
	case "account":
		f.Account = value
	case "times":
		f.Times, err = positive(value)
	case "delay":
		if f.Delay, err = time.ParseDuration(value); err == nil && f.Delay < 0 {
			err = errors.New("must not be negative")
		}
	case "errcode":
		if f.Code, err = strconv.Atoi(value); err == nil && f.Code == 0 {
			err = errors.New("0 is success")
		}
	case "status":
		if f.Status, err = positive(value); err == nil && (f.Status < 100 || f.Status > 599) {
			err = errors.New("not an HTTP status")
		}
	case "cut":
		f.Cut = true
	case "lost":
		f.Lost = true
	case "hang":
		f.Hang = true
	case "no_value":
		f.NoValue = true
	case "no_grant":
		f.NoGrant = true
	case "no_tokens":
		f.NoTokens = true
	case "expires_in":
		f.ExpiresIn = value
	case "body":
		f.Body, err = body(value)
	default:
		err = errors.New("unknown")
	}
	return err
}

func positive(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err == nil && n < 1 {
		err = errors.New("must be positive")
	}
	return n, err
}

func body(s string) (wechattest.Body, error) {
	switch s {
	case "truncated":
		return wechattest.Truncated, nil
	case "html":
		return wechattest.HTML, nil
	case "empty":
		return wechattest.Empty, nil
	case "huge":
		return wechattest.Huge, nil
	}
	return wechattest.Whole, errors.New("must be truncated, html, empty or huge")
}
