package advice

import (
	"strings"

	"tokend/daemon/credential"
	"tokend/fetchers"
)

// Language is a language of the texts.
type Language uint8

// Languages.
const (
	English Language = iota
	Chinese
)

// Languages is the number of languages.
const Languages = 2

// Topic is a kind of trouble. The words are those of the key "advice" in STATUS.
type Topic string

// Topics. The first ten are the reactions to errcodes.
const (
	Account  Topic = "account"  // the account is wrong as configured
	Address  Topic = "address"  // this host's address is not in the allowlist
	Customer Topic = "customer" // the grant is missing, revoked or refused
	Ticket   Topic = "ticket"   // no valid pushed ticket
	Parent   Topic = "parent"   // the credential that is needed to fetch this one is unavailable
	Code     Topic = "code"     // an authorization code is used up
	Rate     Topic = "rate"     // too many calls in a minute or an hour
	Quota    Topic = "quota"    // a quota of WeChat is used up
	Busy     Topic = "busy"     // WeChat is overloaded
	Request  Topic = "request"  // WeChat finds the request malformed

	Network Topic = "network" // WeChat was unreachable, or its answer was invalid
	Limit   Topic = "limit"   // tokend's own limit
	Disk    Topic = "disk"    // the disk refuses writes
	Fault   Topic = "fault"   // a fault of tokend

	None Topic = "" // no trouble
)

// Of returns the topic of what is wrong with c, or None.
func Of(c *credential.Status) Topic {
	switch {
	case c.State == credential.Waiting && c.Parent == "":
		return Ticket
	case c.LastError != "" && c.Derived:
		return Parent
	case c.LastError != "":
		return Because(c.Reason, c.Reaction)
	case c.State == credential.Waiting:
		return Ticket
	case !c.Durable:
		return Disk
	}
	return None
}

// Because returns the topic of a failure, from its reason and from the reaction to its errcode,
// which is zero if WeChat sent none.
func Because(reason credential.Reason, reaction fetchers.Reaction) Topic {
	switch reaction {
	case 0:
		return without(reason)
	case fetchers.Retry:
		return Busy
	case fetchers.ParentDead:
		return Parent
	case fetchers.NewTicket:
		return Ticket
	case fetchers.Reauthorize, fetchers.GrantRefused:
		return Customer
	case fetchers.AddressRefused:
		return Address
	case fetchers.QuotaDay:
		return Quota
	case fetchers.QuotaMinute:
		return Rate
	case fetchers.Malformed:
		return Request
	case fetchers.CodeRefused:
		return Code
	}
	return Account // as for an unknown errcode
}

// without is Because for a failure without an errcode.
func without(reason credential.Reason) Topic {
	switch reason {
	case credential.Limited:
		return Limit
	case credential.NoTicket:
		return Ticket
	case credential.Reauth:
		return Customer
	case credential.Refused:
		return Parent // the error came from a parent's fetch
	case credential.Internal:
		return Fault
	}
	return Network
}

// Advice is what to do.
type Advice struct {
	Text string

	// Command continues Text, which then ends with a colon. It is empty if no command helps.
	Command string
}

// String returns the whole advice.
func (a Advice) String() string {
	if a.Command == "" || strings.HasSuffix(a.Text, "：") {
		return a.Text + a.Command
	}
	return a.Text + " " + a.Command
}

// Subject is what an advice is about. Empty fields are unknown.
type Subject struct {
	Name    string // of the credential
	Parent  string // the credential that is needed to fetch it
	Address string // this host's IP address, as WeChat sees it
}

// About returns what to do about c. It is empty if nothing is wrong.
func (l Language) About(c *credential.Status) Advice {
	return l.Advise(Of(c), Subject{Name: c.Name, Parent: c.Parent, Address: c.Address})
}

// Advise returns what to do about t. It is empty for None and for a topic of a later version.
func (l Language) Advise(t Topic, s Subject) Advice {
	e, ok := table[t]
	if !ok {
		return Advice{}
	}
	name, address, callback := s.Name, "", ""
	if name == "" {
		name = "NAME"
	}
	if s.Address != "" {
		address = " " + s.Address
	}
	if c, ok := l.Callback(s.Name); ok {
		callback = c.String()
		if l == Chinese {
			callback = "（" + callback + "）"
		} else {
			callback = " (" + callback + ")"
		}
	}
	if t == Parent && s.Parent != "" {
		name = s.Parent
	}
	fill := strings.NewReplacer("{name}", name, "{address}", address, "{callback}", callback)
	return Advice{Text: fill.Replace(e.advice[l]), Command: fill.Replace(e.command)}
}

// Title returns the word for t.
func (l Language) Title(t Topic) string { return table[t].title[l] }

// Does returns in a few words what tokend does about t.
func (l Language) Does(t Topic) string { return table[t].does[l] }

// Short returns in a few words what to do about t.
func (l Language) Short(t Topic) string { return table[t].short[l] }

// Meaning returns the meaning of an errcode in answer to a call for the credential name, or "" if
// it is unknown.
func (l Language) Meaning(name string, errcode int) string {
	english, chinese := fetchers.Meaning(isWeCom(name), errcode)
	if l == Chinese {
		return chinese
	}
	return english
}

// isWeCom reports whether a credential is fetched from WeCom.
func isWeCom(name string) bool {
	return strings.HasPrefix(name, "work/") || strings.HasPrefix(name, "open_work/")
}
