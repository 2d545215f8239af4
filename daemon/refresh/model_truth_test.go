package refresh

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// life is one incarnation of the engine: from its start to its end or its kill.
type life struct {
	dead   chan struct{} // closed by a kill
	killed bool          // guarded by world.mu
	end    time.Duration // of the kill
	rough  bool          // the disk has refused something in this life; guarded by world.mu
}

// truth is what WeChat knows of a credential.
type truth struct {
	name     string
	kind     *policy.Policy
	calls    int
	underway int
	value    *issued
	values   map[string]*issued

	// What WeChat has answered the engine: no call before held, unless with something else than
	// refusedWith, if that is set. It was answered at told; before free it may think otherwise,
	// because something else is under way that ends holds. freed counts an operator's doings.
	held, told, free time.Duration
	heldWhy          string
	refusedWith      string
	class            fetchers.Reaction // what WeChat has said last; zero for nothing, or an answer
	quotas           int               // how often it has told of a quota since it answered
	unlisted         time.Duration     // when it has told of the address since it answered; zero for never
	wasUnlisted      time.Duration     // the same before it answered in this life
	freed            int
	settings         int           // how often the configuration has changed
	dropped          time.Duration // a call that came until then may be of a dropped flight

	// dead is a value of it with which WeChat has refused a child's call, at died; "" for none.
	dead string
	died time.Duration

	// asked is when somebody last asked for it, by the clock of the bubble. It is noted for what is
	// fetched for each request.
	asked time.Time

	// What readers have got: a value of the generation seen, and a value that lives until valid. An
	// answer at answered may make it less.
	seen            int
	valid           time.Duration
	answered, ended time.Duration
}

// lift notes that the engine need hold nothing up any more.
func (t *truth) lift() { t.held, t.quotas = 0, 0 }

// issued is a value that WeChat has given out.
type issued struct {
	gen  int
	read bool // by the reader that it was fetched for; noted for what is fetched for each request
	dies time.Duration
	end  time.Duration // dies, as far as the engine can know: an answer that was lost may have ended it
}

// grantTruth is what WeChat knows of a customer.
type grantTruth struct {
	gen        int
	authorized bool
	before     time.Duration // until when the grant before is taken, too

	delivered int  // the newest that this life of the engine has received
	acked     int  // the newest that the engine has said to be durable
	revoked   bool // the engine has said that it knows
	changing  int  // authorizations under way
}

// forEver is the end of a hold that no time ends.
const forEver = 1 << 62

func customerOf(name string) string { return name[:strings.LastIndexByte(name, '/')] }

func grantValue(customer string, gen int) secret.Text {
	return secret.Text(fmt.Sprintf("%s!%d", customer, gen))
}

func grantGen(value secret.Text) int {
	_, n, _ := strings.Cut(string(value), "!")
	gen := -1
	_, _ = fmt.Sscan(n, &gen)
	return gen
}

// watched is somebody who watches everything.
type watched struct {
	mu      sync.Mutex
	state   map[string]credential.State
	changed map[string]bool
	done    chan struct{}
}

func watchAll(e *Engine) *watched {
	s := &watched{state: map[string]credential.State{}, changed: map[string]bool{}, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		_, list, w := e.Watch(nil, "", nil) // which waits until all is loaded
		s.mu.Lock()
		for l := range list {
			s.state[l.Name] = l.State
		}
		s.mu.Unlock()
		for more := true; more; {
			<-w.Ready()
			var told []credential.Listing
			told, more = w.Take()
			s.mu.Lock()
			for _, l := range told {
				s.state[l.Name], s.changed[l.Name] = l.State, true
			}
			s.mu.Unlock()
		}
	}()
	return s
}

// wait returns when the engine has ended the watch.
func (s *watched) wait() { <-s.done }

// check compares the watcher's events with the state.
func (s *watched) check(m *model) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, told := range s.state {
		st, err := m.Status(name)
		// A dropped credential is announced as expired, and begins as idle when it is back.
		gone := told == credential.Expired && (m.index.get(name) == nil || st.State == credential.Idle)
		if err != nil || !s.changed[name] || st.State == told || gone {
			continue
		}
		m.w.violateNow("%s is %s, and watchers believe in %s", name, st.State, told)
	}
}
