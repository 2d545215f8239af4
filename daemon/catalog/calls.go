package catalog

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"tokend/daemon/credential"
	"tokend/fetchers"
)

// maxCodes is the maximum number of errcodes that are counted separately for one endpoint. WeChat
// documents a few hundred, of which an endpoint returns about ten.
const maxCodes = 64

// Calls counts the calls to each endpoint. There are about ten endpoints.
type Calls struct {
	mu     sync.Mutex
	byPath map[string]*endpoint
}

// endpoint counts the calls to one path.
type endpoint struct {
	ok, refused, failed int64
	byCode              map[int]int64 // of refused; 0 collects the errcodes beyond maxCodes
	took                time.Duration // of all calls
	buckets             [len(credential.Buckets)]int64
}

// NewCalls returns counters at zero.
func NewCalls() *Calls { return &Calls{byPath: map[string]*endpoint{}} }

// observe counts a finished call to path.
func (c *Calls) observe(path string, took time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byPath[path]
	if e == nil {
		e = &endpoint{byCode: map[int]int64{}}
		c.byPath[path] = e
	}
	e.took += took
	for i, bound := range credential.Buckets {
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

// Stats returns the counts, sorted by key.
func (c *Calls) Stats() []credential.Stat {
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

// Endpoints returns the counters of all endpoints, sorted by path.
func (c *Calls) Endpoints() []credential.Endpoint {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []credential.Endpoint
	for path, e := range c.byPath {
		s := credential.Endpoint{Path: path, OK: e.ok, Refused: e.refused, Unreachable: e.failed, Took: e.took, Buckets: e.buckets}
		for code, n := range e.byCode {
			s.Codes = append(s.Codes, credential.Code{ErrCode: code, N: n})
		}
		slices.SortFunc(s.Codes, func(a, b credential.Code) int { return cmp.Compare(a.ErrCode, b.ErrCode) })
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b credential.Endpoint) int { return strings.Compare(a.Path, b.Path) })
	return all
}
