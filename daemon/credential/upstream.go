package credential

import "time"

// Host is a configured WeChat or WeCom host.
type Host struct {
	API  string // weixin or work, as in the configuration
	Name string
	Used bool // calls currently use it
}

// Endpoint counts the calls to one path of WeChat's API.
type Endpoint struct {
	Path        string
	OK          int64
	Refused     int64 // answered with an errcode
	Unreachable int64 // no answer, or an invalid one

	Codes   []Code        // of Refused; sorted by errcode
	Took    time.Duration // total time of all calls
	Buckets [len(Buckets)]int64
}

// Calls returns the number of calls.
func (e Endpoint) Calls() int64 { return e.OK + e.Refused + e.Unreachable }

// Code counts answers with one errcode. ErrCode 0 collects the errcodes beyond the limit on
// distinct ones.
type Code struct {
	ErrCode int
	N       int64
}

// Buckets are the upper bounds of the histogram of call durations. Each bucket counts the calls
// above the previous bound. WeChat usually answers in 0.1 s. The default timeout is 5 s.
var Buckets = [...]time.Duration{
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond,
	500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}
