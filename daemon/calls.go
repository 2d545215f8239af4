package daemon

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/survey"
	"tokend/fetchers"
)

// maxCodes bounds how many errcodes are counted by number for one endpoint. WeChat has some hundred
// in all, of which an endpoint answers with some ten; what comes beyond is no table of WeChat's.
const maxCodes = 64

// calls counts the calls to each endpoint. There are some ten of these.
type calls struct {
	mu     sync.Mutex
	byPath map[string]*endpoint
}

// endpoint is what has come of the calls to one path.
type endpoint struct {
	ok, refused, failed int64
	byCode              map[int]int64 // of refused; 0 stands for those beyond maxCodes
	took                time.Duration // of all
	buckets             [len(survey.Buckets)]int64
}

func newCalls() *calls { return &calls{byPath: map[string]*endpoint{}} }

// observe counts a call to path that has ended.
func (c *calls) observe(path string, took time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byPath[path]
	if e == nil {
		e = &endpoint{byCode: map[int]int64{}}
		c.byPath[path] = e
	}
	e.took += took
	for i, bound := range survey.Buckets {
		if took <= bound {
			e.buckets[i]++
			break
		}
	}
	switch api, refused := errors.AsType[*fetchers.APIError](err); {
	case err == nil:
		e.ok++
	case !refused:
		e.failed++
	default:
		e.refused++
		code := api.Code
		if e.byCode[code] == 0 && len(e.byCode) >= maxCodes {
			code = 0
		}
		e.byCode[code]++
	}
}

// stats returns the counts, sorted by key.
func (c *calls) stats() []credential.Stat {
	c.mu.Lock()
	defer c.mu.Unlock()
	var stats []credential.Stat
	for path, e := range c.byPath {
		stats = append(stats, credential.Stat{Key: "calls:" + path, Value: e.ok + e.refused + e.failed})
		if n := e.refused + e.failed; n > 0 {
			stats = append(stats, credential.Stat{Key: "failed:" + path, Value: n})
		}
	}
	slices.SortFunc(stats, func(a, b credential.Stat) int { return strings.Compare(a.Key, b.Key) })
	return stats
}

// endpoints returns what has come of all calls, sorted by path.
func (c *calls) endpoints() []survey.Endpoint {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []survey.Endpoint
	for path, e := range c.byPath {
		s := survey.Endpoint{Path: path, OK: e.ok, Refused: e.refused, Unreachable: e.failed, Took: e.took, Buckets: e.buckets}
		for code, n := range e.byCode {
			s.Codes = append(s.Codes, survey.Code{ErrCode: code, N: n})
		}
		slices.SortFunc(s.Codes, func(a, b survey.Code) int { return cmp.Compare(a.ErrCode, b.ErrCode) })
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b survey.Endpoint) int { return strings.Compare(a.Path, b.Path) })
	return all
}
