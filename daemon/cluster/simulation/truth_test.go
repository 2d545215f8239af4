package simulation

import (
	"encoding/json"
	"maps"
	"sync"
	"time"

	"tokend/fetchers/wechattest"
)

// truth is what WeChat has answered, whether the answer arrived or not. It knows more than any
// host.
type truth struct {
	mu     sync.Mutex
	values map[string]*issued     // by value
	newest map[string]*issued     // by name, of what rotates
	flying map[string]int         // calls under way, by name, of what rotates; without those of paused hosts
	spent  map[string][]time.Time // calls, by endpoint and account
	total  int                    // calls and pushes under way
	pushed map[string]ticket      // the newest ticket that a host has acknowledged, by name
	kept   map[string]bool        // codes whose answers are on a disk
}

func newTruth() *truth {
	return &truth{values: map[string]*issued{}, newest: map[string]*issued{}, flying: map[string]int{}, spent: map[string][]time.Time{}, pushed: map[string]ticket{}, kept: map[string]bool{}}
}

// ticket is a pushed ticket.
type ticket struct {
	value string
	at    time.Time
}

// issued is a value that WeChat has issued.
type issued struct {
	name   string
	value  string
	at     time.Time
	ends   time.Time // zero if WeChat does not state it
	after  time.Time // when a refresh of the schedule may replace it
	gone   time.Time // when it was replaced; zero if it was not
	due    bool      // it was replaced by a refresh of the schedule
	code   string    // that it was issued for
	orphan bool      // that code's answer was lost, and nobody can ask for it again
	unmet  bool      // it was fetched in a boot that no peer had met
	number int
}

// orphan notes that the answer to a code was lost whose customer no host knows. The token in it
// replaced the customer's: callers will reject the dead token.
func (t *truth) orphan(code string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, v := range t.newest {
		v.orphan = v.orphan || v.code == code
	}
}

// tokenOf returns the token that was issued for a code, empty if there is none.
func (t *truth) tokenOf(code string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for token, v := range t.values {
		if code != "" && v.code == code {
			return token
		}
	}
	return ""
}

// acknowledged notes a ticket that a host has stored.
func (t *truth) acknowledged(name string, k ticket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if k.at.After(t.pushed[name].at) {
		t.pushed[name] = k
	}
}

// busy changes how many calls and pushes are under way.
func (t *truth) busy(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total += n
}

// counted notes that WeChat counts a call.
func (t *truth) counted(c wechattest.Call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := c.Endpoint + " " + c.Account
	t.spent[key] = append(t.spent[key], c.At)
}

// begins notes a call on its way. late reports that its host was paused before it was sent, for so
// long that its session may end during the call. done reports the same, or that the claim has ended
// since.
func (t *truth) begins(w *world, p *process, q request, late bool) (done func() (late bool)) {
	unclaimed := q.code != "" && p.cutOff() && w.lastThird(q.code)
	t.mu.Lock()
	defer t.mu.Unlock()
	if late {
		w.note(p.host, "call %s: sent late, after a pause", q.label)
	} else {
		w.note(p.host, "call %s", q.label)
	}
	c := &call{q.once(), late}
	if unclaimed {
		c.name = "" // every host that has the code
	}
	t.total++
	p.flying(c, t)
	if n := t.flying[c.name]; n > 1 && c.name != "" {
		w.violate("%s: %d calls under way at once", c.name, n)
	}
	return func() bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.total--
		p.landed(c, t)
		return c.late
	}
}

// answered notes an answer.
func (t *truth) answered(w *world, h *host, q request, text []byte) {
	var a answer
	_ = json.Unmarshal(text, &a)
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if a.Code != 0 {
		w.note(h, "WeChat answers %s: errcode %d", q.label, a.Code)
		return
	}
	value, ends := "", now.Add(time.Duration(a.ExpiresIn)*time.Second)
	for _, v := range []string{a.Access, a.Component, a.Authorizer, a.Suite, a.Provider} {
		if v != "" {
			value = v
		}
	}
	if a.Ticket != "" && q.label != "ticket/getticket" {
		value = a.Ticket
	}
	name := q.name
	if a.Info != nil && a.Info.Authorizer != "" {
		name, value = platform+"/"+a.Info.AppID+"/access_token", a.Info.Authorizer
		ends = now.Add(time.Duration(a.Info.ExpiresIn) * time.Second)
	}
	if value == "" {
		w.note(h, "WeChat answers %s", q.label)
		return
	}
	if t.values[value] != nil { // repeated
		return
	}
	v := &issued{name: name, value: value, code: q.code, at: now, ends: ends, after: ends.Add(-min(10*time.Minute, ends.Sub(now)/4))}
	if p := h.current(); p != nil {
		v.unmet = p.apart()
	}
	t.values[value] = v
	if name == "" {
		return
	}
	if before := t.newest[name]; before != nil {
		before.gone, before.due = now, !now.Before(before.after)
		v.number = before.number + 1
	}
	t.newest[name] = v
	w.note(h, "WeChat issues %s", v)
}

func (v *issued) String() string { return v.name + " #" + itoa(v.number+1) }

// underWay returns how many calls are under way.
func (t *truth) underWay() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.total
}

// find returns what is known of a value, or nil.
func (t *truth) find(value string) *issued {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v := t.values[value]; v != nil {
		c := *v
		return &c
	}
	return nil
}

// tickets returns the newest acknowledged tickets.
func (t *truth) tickets() map[string]ticket {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.pushed)
}

// current returns the newest value of each name.
func (t *truth) current() map[string]issued {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := map[string]issued{}
	for name, v := range t.newest {
		all[name] = *v
	}
	return all
}
