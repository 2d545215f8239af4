package wechattest

import (
	"maps"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// Settings configure a [WeChat]. The zero value is WeChat as documented.
type Settings struct {
	// Lifetime is the lifetime of tokens and tickets. Zero means two hours. The minimum is a
	// second, the unit of expires_in.
	Lifetime time.Duration

	// Overlap is how long a replaced token of an official account stays valid. Zero means 1/24 of
	// Lifetime: five minutes for two hours.
	Overlap time.Duration

	// ForceSpacing is the minimum interval between effective forced refreshes. Zero means 1/240 of
	// Lifetime: 30 s for two hours.
	ForceSpacing time.Duration

	// Limits are the quotas.
	Limits Limits

	// ClientIP is the caller's address in errors. Empty means 192.0.2.1.
	ClientIP string

	// ForceKills makes a forced refresh invalidate the previous token at once. The documentation is
	// ambiguous. By default the token stays valid for Overlap.
	ForceKills bool

	// WorkSaysFullLife makes WeCom return the full lifetime each time it repeats a value, as for
	// official account tickets. WeCom's behavior is not documented. By default it returns the
	// remaining lifetime.
	WorkSaysFullLife bool

	// ExpiredIsInvalid makes WeCom answer 40014 (invalid access_token) for an expired access token.
	// By default it answers 42001. The documentation mentions both.
	ExpiredIsInvalid bool

	// RotateRefreshTokens makes api_authorizer_token return a new refresh token each time. The
	// previous one is accepted for Overlap, and answered with the current one. By default the same
	// one is returned, as in practice.
	RotateRefreshTokens bool

	// RotateEachCall rotates refresh tokens like RotateRefreshTokens, also for a call with a
	// previous one, and accepts each previous one for Overlap. The answer to a lost call cannot be
	// had again then.
	RotateEachCall bool

	// EmptyRefreshTokens makes api_authorizer_token return an empty refresh token.
	EmptyRefreshTokens bool

	// ListSaysEmpty makes api_get_authorizer_list return an empty refresh_token for a customer
	// whose code was never exchanged, instead of omitting it.
	ListSaysEmpty bool

	// SuitesSayNoErrcode makes get_suite_token and get_corp_token omit errcode 0, as documented
	// "for historical reasons".
	SuitesSayNoErrcode bool

	// ResetKills makes reset_permanent_code invalidate the old permanent code at once. The moment
	// is not documented. By default it is the exchange of the new code.
	ResetKills bool

	// Register creates an account for every call for a token with an unknown ID; the secret of the
	// first call becomes its secret. An unknown secret of a corp creates another app of that corp.
	// A call for an unknown downstream corp shares the app with it. Platforms and suites are not
	// created this way, because a call does not contain their push settings.
	Register bool

	// Seed makes the issued values the same in each run. Zero makes them different.
	Seed uint64

	// OnCall, if not nil, is called after each call, by the goroutine that serves it. It may use
	// the WeChat.
	OnCall func(Call)

	// PushTransport carries pushes to callbacks. Nil means a transport with a new connection for
	// each push. See [HandlerTransport] for tests without a socket.
	PushTransport http.RoundTripper

	// PushTries is how often a push is sent if it is not answered, or not with HTTP 200. Zero means
	// 3 for WeCom, as documented, and 1 for a platform, whose behavior is unknown. After any other
	// answer it is not sent again.
	PushTries int

	// OnPush, if not nil, is called after each attempt of a push, by the goroutine that sends it.
	// It may use the WeChat.
	OnPush func(Delivery)
}

// Limits are WeChat's quotas. Zero means the documented figure, a negative number no limit. A day
// ends at midnight in Shanghai.
type Limits struct {
	TokensPerDay       int // calls of /cgi-bin/token per appid: 2000
	StablePerMinute    int // calls of /cgi-bin/stable_token per appid: 10 000
	StablePerDay       int // likewise: 500 000
	ForcesPerDay       int // effective forced refreshes per appid: 20
	TicketsPerHour     int // WeCom tickets per app: 100
	CorpTicketsPerHour int // WeCom tickets per corp: 400
	ErrorsPerHour      int // errors of a corp before all its calls are blocked: 2000

	DownstreamPerMinute int // calls for tokens of downstream corps per corp: 10 000, as for each API

	// AccountTicketsPerDay limits calls of getticket of one type per account. WeChat calls the
	// quota "very limited" and publishes no figure. Zero means no limit.
	AccountTicketsPerDay int
}

// withDefaults returns s with its defaults.
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
		// Without idle connections, nobody has to close them.
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

// WeChat is an in-process WeChat. Create a WeChat with [New]. Its methods may be called
// concurrently, also during calls to it.
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
	wake       chan struct{} // a token makes RunPushes look again

	// valueSize is the size of future values; 0 means the usual one.
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
