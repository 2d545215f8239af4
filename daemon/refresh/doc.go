// Package refresh is the engine: it holds every credential that is being used,
// answers readers from memory, fetches each credential once for all
// who want it, refreshes it ahead of its end, keeps what customers gave once, and remembers what
// must not be asked again. It knows kinds of credentials and how each is
// renewed; it knows no socket, no database and nothing of WeChat beyond that.
//
// # Entries and flights
//
// A credential that has been asked for is an entry. Readers load its value, an immutable struct, by
// one atomic pointer. Whatever changes it is a flight: one fetch, of which an entry has at most
// one, whoever wanted it: a reader, the schedule, a rejection, an operator, a child. Everybody who
// wants the credential waits for the same flight with a deadline of their own; nobody's leaving
// ends it. A flight lands in this order: the store has the answer, the entry shows it, those who
// wait get it, the watchers are told, the next due time is set.
//
// # Kinds
//
// How a kind is renewed is a [policy.Policy], which comes with its specs; when, is decided by the pure
// functions of due.go; what a failure calls for, by those of hold.go. Pushed tickets have no
// flights: Push puts them in. What is fetched for each request (pre_auth_code) has flights of its
// own, at most four at once; nothing is stored and nothing is fetched ahead (perask.go).
//
// Whoever serves credentials may hang what it keeps of one at its entry (peg.go); the engine does
// not know what that is, and tells it when the account is gone.
//
// # Loading
//
// What the store has kept is made into entries by New, or with [Config].Ahead by Run, while readers
// ask already: with a million credentials that takes seconds, at every start. An entry stands in
// the index as soon as it is made, and is read as ever. Who asks for one that is not there yet is
// answered from its own record (early.go), if that was written in this boot, lives, and its grant
// can be used: the loading will come to the same. Nothing that might have to be taken back is
// served before all is read: the wall clock may have been turned back, and any record may be the
// one that tells. Everybody else waits for the end of the loading, and nothing is due before it.
//
// # Grants and customers
//
// A grant stays on disk and is read when it is used; memory follows the customers in use, not those
// that are known. A customer's credential that nobody asks for in its whole life lapses: no entry,
// no record, no call until somebody asks again; a restart does not count as asking. What replaces a
// grant is written together with what came with it. If the answers to two calls cross, the grant of
// the later authorization stays in force. Of an account that is taken out of the configuration
// nothing is served. Its customers' grants and its pushed tickets, which nobody can ask for, stay
// on disk, tickets until they end, and are there again with it.
//
// What is due of customers is fetched at a pace: after a start or an outage, with very many due at
// once, there are no more calls in a second to each of WeChat's hosts than twice what those in
// memory need to stay fresh, or 50 if that is more. Of each owner's, those values come first that
// expire soonest. Where values would expire before their refresh, or have expired and readers still
// ask for them, the pace rises to as much as that takes, 300 at most, doubling from second to
// second as WeChat answers. Where not even that is enough, those go first that readers have asked
// for lately. While nothing but failures comes back it falls to 5. Calls that a reader waits for
// are never paced. Accounts' own credentials go before customers', and are paced only where they
// need more than the first 8 places.
//
// # Fairness
//
// There are 32 places for calls to each of WeChat's hosts, and 24 for refreshes of the schedule. An
// owner has at most half of the 32, and its refreshes at most one less: the last place is for calls
// that clients wait for. An owner is a platform or suite with all its customers, an official
// account, or a corp. The last eighth of the places is for owners that have none. Owners that wait
// are served round robin, so one whose calls hang keeps no other from the host (places.go). This
// also bounds a healthy owner that is alone at a host to 16 calls. A bound that depended on how an
// owner's calls go would have to be wrong once, for as long as a call may hang, before it helps.
// Calls that readers wait for enter before those of the schedule (limiter.go).
//
// The schedule begins with 8 places. It goes up to 24 when these do not reach the rate that is
// needed, because WeChat is slow (hostqueue.go). If WeCom answers that there are too many calls at
// once, the places of its host are halved, to 2 at least; what an owner still has above its new
// half does not count against the others.
//
// # Turns
//
// What stands under a name, on disk and in memory, is changed in the turn of the name: by
// a flight that lands, a push, a grant given or taken back, a changed configuration, a
// lapse. So the two change in the same order, and what is read from disk at the next
// start is what was visible last. What takes several turns takes them in one step.
//
// # Calls
//
// A call is charged to its budgets durably before it is made, together with a note that it is being
// made if it is a credential's first in this run or the one before has failed: whatever kills the
// daemon then, the next run knows how often it was tried. While the disk refuses to count, calls go
// on within what each budget has to spare between tokend's limit and WeChat's, those that can wait
// after those that cannot. WeChat's two hosts are kept apart, so that one that hangs keeps nobody
// from the other. WeCom's blocks an address for its faulty calls, so these are counted too. A
// parent's value that WeChat has refused to a child is used for no other call until a fetch of the
// parent has landed (dead.go). A rejection never forces a new stable_token: the value that WeChat
// repeats is served on, as the protocol promises, and only an operator's refresh spends one of the
// twenty a day.
//
// # A disk that refuses
//
// What has been fetched, pushed or exchanged is in force all the same, from memory, and written as
// soon as the disk takes it; whoever handed it in is told that it is not durable, and what
// comes again is acknowledged only when it is. A fault of the disk is told to peers as tokend's own
// ([Internal]), without a word of where; the log has it. Over a kill on such a disk no grant can be
// kept that the journal has not, and nothing holds a crash loop on it to the calls of
// one run.
//
// # Time
//
// Lives, pauses and budgets are measured by [clock.Clock], which suspend does not stop and nobody
// can set. The wall clock serves for what outlives a boot, for the end of WeChat's day when the
// day's quota is spent by tokend's own count too, and for showing. A wall clock that has been set
// over a boot makes nothing live longer or be held longer than it was to be; one that stands before
// the newest record makes every value be fetched anew. Set forward over a boot, it cannot be told
// from a host that was off for so long. If it is set forward later in this boot, the values of the
// boot before are dated again by it at once.
//
// # Long work
//
// A walk through all credentials (a list, the beginning of a watch, a census, a reload) takes up to
// a second of a processor, and so does an import. All walks share [Config].Throttle, which bounds what they take together, whoever
// asks for them. A walk holds no lock while it is delayed.
//
// # Goroutines
//
//	goroutine  started by             waited for by  owns
//	loading    New or Run             the same       entries that are being made; nobody else changes any meanwhile
//	dispatch   Run                    Run            what is due, and the pace at each host
//	worker     dispatch               Run            one scheduled refresh
//	save       Run                    Run            values that the disk has refused
//	sweep      Run                    Run            records of no use, until they are deleted; of an earlier boot, until they are written anew
//	flight     whoever finds no other Run            the fetch and landing of one entry
//	exchange   Exchange, Accept, Run, Run            the way of one authorization code
//	           or SetCatalog
//	outlast    whoever hands in       Run            the writing of what is handed in, though nobody may wait for it any more
//
// # Files
//
// A file uses definitions of its own layer and of those before it, but for the type Engine. In
// reading order:
//
//	what callers give and get
//		api.go          Config, and the interfaces of the store and the catalog
//		vocabulary.go   the words of package credential
//	state
//		errors.go       errors of the engine's own
//		entry.go        an entry: value, hold, flight
//		history.go      what has happened to an entry in this run
//		index.go        entries by name
//		dropped.go      the readers of entries out of service
//		schedule.go     entries by the time of the next refresh
//		backlog.go      entries whose refresh is due, by owner
//		limiter.go      calls in flight, by owner
//		watch.go        subscriptions to changes
//		lock.go         locks by name
//		fingerprint.go  fingerprints of values
//	decisions
//		due.go          every margin, interval and pause
//	transition
//		transition.go   events of an entry
//	work
//		obtain.go       readers: join a flight or start one
//		flight.go       calls of a flight
//		land.go         end of a flight
//		parent.go       children of a value that is refused or missing
//		host.go         bounds of a host: places, budgets, address list
//		outlet.go       endpoints that the customers of an owner share
//		push.go         tickets and grants that are pushed or put
//		grant.go        customers' grants
//		amend.go        changes of several names
//		code.go         authorization codes
//		redeem.go       the exchange of a code
//		promise.go      codes that WeChat was told have arrived
//		customers.go    WeChat's lists of customers
//		times.go        values and holds on disk, by the clock of a boot
//		rare.go
//		save.go         what the disk has refused, and unused records
//		early.go        reads while the store is being loaded
//		load.go         from the store to entries
//		pace.go         how fast the schedule refreshes
//		dispatch.go     the schedule at work
//		reload.go       another configuration
//	entry points
//		engine.go       New, Run, Get, Reject, Refresh
//		list.go         List, Watch
//		report.go       Status, History, Stats, Census
//		walk.go         walks for metrics
//
// # Locks
//
// In this order, each held for a few instructions unless it says otherwise:
//
//	dating.mu  while values are dated again; before entry.mu
//	airborne   by name: while a call is made and lands
//	customerList.turn  by owner: while its pages are read
//	turns      by name: while the disk is written; never while the network is used
//	codes.mu, then Engine.life
//	entry.mu   then Engine.life
//	schedule.mu, dropped.mu, watchers.mu, sleepers.mu, index shards, ledger.mu, grants.mu, limiter.mu, asks.mu, outlets.mu (then outlet.mu)
package refresh
