package refresh

import "time"

// Kind is which of WeChat's credentials a credential is. The kind decides how
// it is renewed.
type Kind uint8

// Kinds.
const (
	StableToken   Kind = iota + 1 // access_token by /cgi-bin/stable_token
	RotatingToken                 // access_token by /cgi-bin/token
	Ticket                        // jsapi and wx_card tickets of an official account
	CorpToken                     // WeCom access_token by /cgi-bin/gettoken
	CorpTicket                    // WeCom corp and agent tickets
	ProviderToken                 // WeCom provider_access_token
)

// String returns the word that STATUS shows.
func (k Kind) String() string { return k.policy().word }

// policy is how a kind is renewed. Sources: the tables of WeChat's API notes; where
// they give a number, it is quoted at the number.
type policy struct {
	word string

	// rotates: every fetch makes a new value and ends the old one after an
	// overlap (5 minutes). Fetched ahead once, never in a loop. Otherwise an
	// early fetch repeats the current value.
	rotates bool

	// lead is how long before its end a value is asked for again.
	lead time.Duration

	// firstSeen: the expires_in of a repeated value says nothing of its age,
	// so a value met for the first time may be older than it looks.
	firstSeen bool

	// forcible: an operator's refresh may ask for a new value (force_refresh).
	forcible bool

	// budgets are charged for every call, forced for a forced one as well.
	budgets, forced []budget
}

var policies = [...]policy{
	// "In the last 5 minutes the platform hands out the next token", both valid.
	// 20 forced refreshes a day, 30 s apart.
	StableToken: {word: "stable_token", lead: 5 * time.Minute, forcible: true,
		forced: []budget{{word: "force", window: day, limit: 20, gap: 30 * time.Second}}},

	// Asked for at the latest 10 minutes ahead; the old token lives 5 minutes
	// beside the new one. 2000 calls a day; counters are off by about 1 %.
	RotatingToken: {word: "rotating_token", rotates: true, lead: 10 * time.Minute,
		budgets: []budget{{word: "token", window: day, limit: 1950}}},

	// The same ticket for two hours, always with expires_in 7200. The quota is
	// "very limited" without a number: the limit is tokend's own.
	Ticket: {word: "ticket", lead: 10 * time.Minute, firstSeen: true,
		budgets: []budget{{word: "ticket", window: time.Hour, limit: 60}}},

	// The same token until its end. 2000 faulty calls an hour block an address.
	CorpToken: {word: "corp_token", lead: 5 * time.Minute, firstSeen: true},

	// 100 calls an hour for each app, 400 for the corp.
	CorpTicket: {word: "corp_ticket", lead: 10 * time.Minute, firstSeen: true,
		budgets: []budget{
			{word: "ticket", window: time.Hour, limit: 95},
			{word: "ticket", window: time.Hour, limit: 380, owner: true},
		}},

	ProviderToken: {word: "provider_token", lead: 5 * time.Minute, firstSeen: true},
}

func (k Kind) policy() *policy {
	if int(k) < len(policies) {
		return &policies[k]
	}
	return &policies[0]
}
