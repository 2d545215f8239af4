package wechattest

import (
	"maps"
	"math/rand/v2"
	"sync"
	"time"
)

// Settings shape a [WeChat]. The zero value is WeChat as documented.
type Settings struct {
	// Lifetime is how long tokens and tickets live; zero stands for two hours.
	// At least a second, since expires_in has no smaller unit.
	Lifetime time.Duration

	// Overlap is how long a replaced token of an official account lives on;
	// zero stands for 1/24 of Lifetime: five minutes of two hours.
	Overlap time.Duration

	// ForceSpacing is how far apart forced refreshes must be to have an
	// effect; zero stands for 1/240 of Lifetime: 30 s of two hours.
	ForceSpacing time.Duration

	// Limits are the quotas.
	Limits Limits

	// ClientIP is the address that refusals name as the caller's; empty stands
	// for 192.0.2.1.
	ClientIP string

	// ForceKills makes a forced refresh end the token before it at once. The
	// documentation can be read both ways; by default it lives for Overlap.
	ForceKills bool

	// WorkSaysFullLife makes WeCom say the full lifetime each time it repeats a
	// value, as official account tickets do. What WeCom says is not documented; by
	// default it says what remains.
	WorkSaysFullLife bool

	// Register makes an account of whoever calls for a token with an unknown
	// id: the secret of the first call is its secret. An unknown secret
	// of a corp makes another app of that corp.
	Register bool

	// Seed makes the issued values the same in each run; zero makes them
	// different.
	Seed uint64

	// OnCall, if not nil, is told of each call as it ends, from the goroutine
	// that serves it. It may use the WeChat.
	OnCall func(Call)
}

// Limits are WeChat's quotas; zero stands for the figure that is documented, a negative
// number for none. A day ends at midnight in Shanghai.
type Limits struct {
	TokensPerDay       int // calls of /cgi-bin/token for one appid: 2000
	StablePerMinute    int // calls of /cgi-bin/stable_token for one appid: 10 000
	StablePerDay       int // likewise: 500 000
	ForcesPerDay       int // forced refreshes of one appid that had an effect: 20
	TicketsPerHour     int // WeCom tickets of one app: 100
	CorpTicketsPerHour int // WeCom tickets of one corp: 400
	ErrorsPerHour      int // refusals to one corp before all its calls are blocked: 2000
}

// withDefaults returns s with every zero replaced by what it stands for.
func (s Settings) withDefaults() Settings {
	or := func(p *int, n int) {
		if *p == 0 {
			*p = n
		}
	}
	if s.Lifetime == 0 {
		s.Lifetime = 2 * time.Hour
	}
	s.Lifetime = max(s.Lifetime, time.Second)
	if s.Overlap == 0 {
		s.Overlap = s.Lifetime / 24
	}
	if s.ForceSpacing == 0 {
		s.ForceSpacing = s.Lifetime / 240
	}
	if s.ClientIP == "" {
		s.ClientIP = "192.0.2.1"
	}
	if s.Seed == 0 {
		s.Seed = rand.Uint64()
	}
	or(&s.Limits.TokensPerDay, 2000)
	or(&s.Limits.StablePerMinute, 10_000)
	or(&s.Limits.StablePerDay, 500_000)
	or(&s.Limits.ForcesPerDay, 20)
	or(&s.Limits.TicketsPerHour, 100)
	or(&s.Limits.CorpTicketsPerHour, 400)
	or(&s.Limits.ErrorsPerHour, 2000)
	return s
}

// WeChat is a WeChat of one's own. Make one with [New]. Its methods may be
// called concurrently, while it is being called too.
type WeChat struct {
	set       Settings            // read-only after New
	endpoints map[string]endpoint // by path; read-only after New

	mu       sync.Mutex
	rand     *rand.Rand
	accounts accounts
	issued   ledger
	quotas   map[quotaKey]*quota
	faults   []*injected
	away     bool
	counts   counts

	// valueSize is the size of values to come; 0 for the usual.
	valueSize int
}

// New returns a WeChat without accounts.
func New(s Settings) *WeChat {
	s = s.withDefaults()
	w := &WeChat{
		set:       s,
		endpoints: map[string]endpoint{},
		rand:      rand.New(rand.NewPCG(s.Seed, s.Seed)),
		accounts:  newAccounts(),
		issued:    ledger{byValue: map[string]*issue{}},
		quotas:    map[quotaKey]*quota{},
		counts:    newCounts(),
	}
	maps.Copy(w.endpoints, officialAccountEndpoints())
	maps.Copy(w.endpoints, workEndpoints())
	maps.Copy(w.endpoints, openWorkEndpoints())
	maps.Copy(w.endpoints, probeEndpoints())
	return w
}
