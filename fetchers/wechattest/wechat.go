package wechattest

import (
	"maps"
	"math/rand/v2"
	"net/http"
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

	// ExpiredIsInvalid makes WeCom answer 40014 (invalid access_token) for an access token that has
	// expired. By default it answers 42001; the documentation names both.
	ExpiredIsInvalid bool

	// RotateRefreshTokens makes api_authorizer_token answer another refresh token
	// each time; the one before it is taken for Overlap more, and answered with
	// the current one. By default the same one comes back, as in practice.
	RotateRefreshTokens bool

	// EmptyRefreshTokens makes api_authorizer_token answer an empty refresh token.
	EmptyRefreshTokens bool

	// ListSaysEmpty makes api_get_authorizer_list say an empty refresh_token, and
	// not leave it out, for a customer whose code was never exchanged.
	ListSaysEmpty bool

	// SuitesSayNoErrcode makes get_suite_token and get_corp_token leave errcode 0
	// out, as they are said to do "for historical reasons".
	SuitesSayNoErrcode bool

	// ResetKills makes reset_permanent_code end the old permanent code at once.
	// When it ends is not documented; by default when the new one is fetched.
	ResetKills bool

	// Register makes an account of whoever calls for a token with an unknown
	// id: the secret of the first call is its secret. An unknown secret
	// of a corp makes another app of that corp, and a call for an unknown downstream corp shares the
	// app with it. Platforms and suites are not made so: a call does not say how to push to them.
	Register bool

	// Seed makes the issued values the same in each run; zero makes them
	// different.
	Seed uint64

	// OnCall, if not nil, is told of each call as it ends, from the goroutine
	// that serves it. It may use the WeChat.
	OnCall func(Call)

	// PushTransport carries pushes to callbacks; nil stands for one that makes a
	// connection for each. See [HandlerTransport] for tests without a socket.
	PushTransport http.RoundTripper

	// PushTries is how many times a push is sent that is not answered, or not with HTTP
	// 200; zero stands for 3 of WeCom's, as documented, and for 1 of a
	// platform's, of which nobody knows. Never is it sent again after
	// another answer.
	PushTries int

	// OnPush, if not nil, is told of each try of a push as it ends, from the
	// goroutine that sends it. It may use the WeChat.
	OnPush func(Delivery)
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

	DownstreamPerMinute int // calls for tokens of downstream corps by one corp: 10 000, as for each API

	// AccountTicketsPerDay is for calls of getticket of one type for one account. WeChat calls the
	// quota "very limited" and publishes no figure: zero stands for none.
	AccountTicketsPerDay int
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
	if s.PushTransport == nil {
		// Without connections to keep there is nobody to close them.
		s.PushTransport = &http.Transport{DisableKeepAlives: true}
	}
	or(&s.Limits.TokensPerDay, 2000)
	or(&s.Limits.StablePerMinute, 10_000)
	or(&s.Limits.StablePerDay, 500_000)
	or(&s.Limits.ForcesPerDay, 20)
	or(&s.Limits.TicketsPerHour, 100)
	or(&s.Limits.CorpTicketsPerHour, 400)
	or(&s.Limits.ErrorsPerHour, 2000)
	or(&s.Limits.DownstreamPerMinute, 10_000)
	or(&s.Limits.AccountTicketsPerDay, -1)
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

	deliveries []Delivery
	wake       chan struct{} // a token tells RunPushes to look again

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
		wake:      make(chan struct{}, 1),
	}
	maps.Copy(w.endpoints, officialAccountEndpoints())
	maps.Copy(w.endpoints, workEndpoints())
	maps.Copy(w.endpoints, downstreamEndpoints())
	maps.Copy(w.endpoints, openWorkEndpoints())
	maps.Copy(w.endpoints, suiteEndpoints())
	maps.Copy(w.endpoints, openPlatformEndpoints())
	maps.Copy(w.endpoints, probeEndpoints())
	return w
}
