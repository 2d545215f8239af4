package refresh

import (
	"fmt"
	"strings"
	"time"

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
	authorised bool
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
