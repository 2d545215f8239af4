// Package refresh is the engine: it caches credentials, serves readers from memory, fetches each
// credential at most once at a time, refreshes it before it expires, and stores customers' grants.
// It does not know sockets, databases, WeChat's API, or which kinds of credentials there are: a
// [Spec] has its policy and its host as values.
//
// # Entries and flights
//
// An entry is a credential that has been requested. Readers load its value through one atomic
// pointer. A flight is one fetch. An entry has at most one flight at a time; a reader, the
// schedule, a rejection, an operator or a child credential can start it. All waiters share it, each
// with its own deadline. A flight continues when its waiters leave.
//
// A flight lands in this order: write to the store, publish the value, notify the watchers, set the
// next refresh time, release the waiters.
//
// A hold is the reason why an entry is not fetched, and the time until when. An entry changes by
// events (transition.go) alone. Each event also notifies the watchers and plans the next refresh:
//
//	            flightStarted                 flightFailed
//	  ready ------------------> in flight ------------------> held
//	  ^  ^                       |    ^                       |  |
//	  |  |    valuePublished     |    |     flightStarted     |  |
//	  |  +-----------------------+    +-----------------------+  |
//	  |       flightAbandoned      (its time is over, or an      |
//	  |                             operator asks)               |
//	  |                                                          |
//	  +----------------------------------------------------------+
//	    holdDropped: another grant or configuration is in force
//	    valuePublished: by a push, or with a customer's grant
//
//	valueFollowed    ready, with a value that another host has fetched; a flight continues
//	valueCut         the same value with an earlier end: see Peers
//	holdFollowed     ready to held: WeChat has refused another host because of the account
//	doubtRaised      refresh now: a call of some host had no answer
//	ticketMissing    ready to held: no ticket was pushed for too long
//	holdEnded        the hold's time is over now: its cause may be gone; its failures still count
//	refreshMoved     another time of the next refresh
//	grantReplaced    refresh now: another grant of the customer is in force, or the value may not be
//	                 WeChat's newest
//	valueRedated     the wall clock was corrected
//	timePassed       a value has expired, or a hold's time is over
//	requestAnswered  a request has got its own value; see below
//
// An entry is made on the first request, or from the store (restore, resume). dropLocked takes it
// out of service in every state: if it is not configured any more, if the grant is revoked, or if
// nobody has asked for a customer's credential in its whole life.
//
// An entry in flight keeps its hold until the flight lands. In the words of STATUS, an entry
// without a hold is fresh, idle or expired, and with one stale, held or expired; waiting, if it has
// no value and waits for a push. What is fetched for each request has no flight of the entry's:
// each request has its own, at most four at once. Nothing of it is stored or fetched ahead.
//
// # Loading
//
// New makes entries of the stored records, or Run does with [Config].Ahead, while readers ask. With
// a million credentials that takes seconds. An entry is readable as soon as it is made. A reader of
// a credential without an entry is answered from its own record (early.go), if the record
// was written in this boot, has not expired, and its grant can be used. All other readers wait for
// the end of the loading, and nothing is refreshed before: any record may show that the wall clock
// was set back, and then values of an earlier boot must not be served.
//
// # Grants and customers
//
// Grants stay on disk and are read when they are used, so memory depends on the customers in use. A
// customer's credential that nobody asks for in its whole life lapses: entry and record are
// deleted, and no call is made until somebody asks again. A restart does not count as asking. A
// grant is written together with the value that came with it. If the answers to two calls cross,
// the grant of the later authorization stays in force. When an account is taken out of the
// configuration, nothing of it is served. Its customers' grants stay on disk, and its pushed
// tickets until they expire, and are used again when the account is configured again.
//
// Refreshes of customers' credentials are paced (pace.go): after a start or an outage, no more
// calls a second go to each host than twice what those in memory need to stay fresh, or 50 if that
// is more. Of one owner, those values go first that expire soonest. If values would expire before
// their refresh, the pace rises as needed, to 300 at most, doubling each second as WeChat answers.
// If even that is not enough, values that readers have asked for lately go first. While only
// failures come back, the pace falls to 5. An owner that gets nothing but failures while others are
// answered does not slow it. Calls that a reader waits for are never paced. Accounts' own
// credentials go before customers', and are paced only if they need more than the first 8 places.
//
// # Fairness
//
// There are 32 places for calls to each host, and 24 for refreshes of the schedule. An owner is a
// platform or suite with all its customers, an official account, or a corp. An owner has at most
// half of the 32, as a reader's and as the schedule's, so one whose calls hang blocks no other. The
// last eighth is for owners that have no place. Waiting owners are served round robin. The bound
// also holds for a healthy owner that is alone at a host: a bound that depended on how its calls go
// would be wrong for as long as a call may hang. Calls that readers wait for enter before those of
// the schedule (limiter.go).
//
// Owners whose calls hang, while the host answers others, share the places of one owner until they
// are answered (hanging.go). Until a call has run for 5 s, or its time is over, nobody knows that
// it hangs. So very many such owners can take all places once, until these calls time out. A call
// is never given up earlier for the sake of others: WeChat may have replaced the value.
//
// The schedule begins with 8 places. It uses up to 24 when 8 do not reach the rate that is needed,
// because WeChat is slow, and 4 more beside calls that hang. If WeCom answers an owner that there
// are too many calls at once, that owner's share is halved. WeCom does not document whether it
// counts the calls of a corp or of an address. So if another owner gets that answer within 30 s,
// the places of the host are halved, to 2 at least; what an owner still has above its new half does
// not count against the others.
//
// # Calls
//
// A call is charged to its budgets durably before it is made. If it is the first one of a
// credential in this run, or follows a failure, a hold is written with the charge: after a crash
// the next run knows how often the credential was tried. While the disk refuses to count, calls
// continue within what each budget has to spare between tokend's limit and WeChat's; background
// calls yield to waiting clients. WeCom blocks an address for faulty calls, so these are counted
// too. A parent's value that WeChat has refused to a child is used for no other call until the
// parent was fetched (flight.go). A rejection never forces a new stable_token: a repeated value is
// served on, as the protocol promises. Only an operator's refresh spends one of the twenty a day.
//
// # A disk that refuses writes
//
// What was fetched, pushed or exchanged is in force in memory, and written as soon as the disk
// takes it. The submitter gets an error, and a repetition is acknowledged when it is durable. Peers
// see a fault of the disk as tokend's own ([credential.Internal]) without details; the log has
// them. If tokend is killed while the disk refuses writes, a grant that the journal does not have
// is lost, and a crash loop spends more than the calls of one run.
//
// # Peers
//
// [Config].Peers are other hosts that serve the same accounts. A flight then has a claim before its
// first call (permit.go). The budgets and the hold of the call are stored with the claim. The
// flight lands its answer by the claim, or gives the claim back. While another host has the claim,
// the schedule abandons its flight, and clients wait for that host's value. They wait for a second
// at most for a value that WeChat repeats.
//
// What a host stores reaches the engines of the others by [Engine.Follow]. It writes the records,
// whose store keeps the newest, and puts in force what is stored then. A change is made of the
// stored records. If newer ones are met when it is stored, they are followed, and the change is
// prepared again. The names are not locked in between.
//
// All hosts have the same schedule, each a little behind those before it in rank. A value that one
// host has fetched replaces the others' plans. A call that had no answer leaves a doubt, which
// makes the credential due at once, on hosts without an entry too.
//
// While this host is apart from the others, what WeChat repeats is fetched within this host's share
// of the spare calls. What rotates is not fetched. If it is due, it is served for one overlap more,
// since another host may have replaced it. An answer whose landing is not confirmed is in force in
// memory. The peers store it if it rotates. The engine stores any other, as after a refusal by the
// disk.
//
// # Time
//
// Lives, pauses and budgets are measured by [clock.Clock], which nobody can set, and which counts
// the time that the host is suspended. The wall clock is used for what outlives a boot, for the end
// of WeChat's day, and for display. If it was set over a boot, no value lives longer and no hold is
// longer than before; if it is earlier than the newest record, every value is fetched again. If it
// was set forward over a boot, that looks like a host that was off. If it is set forward later in a
// boot, the values of the boot before are corrected at once.
//
// Records of other hosts are converted by the bounds of the difference of the two clocks, ends by
// the lower one, calls and holds by the upper one. If no host has met the boot of a record, the
// wall clock counts, less ten seconds, and no value lives longer than it had left.
//
// # Long work
//
// A walk through all credentials (a list, the beginning of a watch, a census) takes up to a few
// seconds of a processor. All walks share [Config].Throttle, which bounds them together. A walk
// holds no lock while it is delayed.
//
// # Goroutines
//
//	goroutine  started by             waited for by  owns
//	loading    New or Run             the same       entries that are being made
//	dispatch   Run                    Run            what is due, and the pace at each host
//	worker     dispatch               Run            one scheduled refresh
//	save       Run                    Run            values that the disk has refused
//	contact    Run, with Peers        Run            what is unconfirmed while the peers are apart
//	deletion   Run                    Run            unused records until they are deleted, and
//	                                                 records of an earlier boot until rewritten
//	flight     the first that asks    Run            fetch and landing of one entry
//	exchange   Exchange, Accept, Run, Run            the tries of one authorization code
//	           or SetCatalog
//	outlast    Put, Push, Revoke, ... Run            the write of what was submitted, though its
//	                                                 caller may have left
//
// # Files
//
// A file uses definitions of its own layer and of those before it, but for the type Engine. In
// reading order:
//
//	what callers give and get
//		api.go          Config, and the interfaces of the store and the catalog
//		peers.go        the other hosts that serve the same accounts
//	state
//		errors.go       errors of the engine's own
//		class.go        what an entry knows of its configuration
//		entry.go        an entry: value, hold, flight
//		history.go      what has happened to an entry in this run
//		index.go        entries by name, and readers of dropped entries
//		claims.go       who is fetching what, as far as this host knows
//		schedule.go     entries by the time of the next refresh
//		backlog.go      entries whose refresh is due, by owner
//		hanging.go      owners whose calls hang
//		limiter.go      calls in flight, by owner
//		watch.go        subscriptions to changes
//		store.go        names that may have a hold on disk, locks by name, and fingerprints
//	decisions
//		due.go          every margin, interval and pause
//		pace.go         how fast the schedule refreshes
//	transition
//		transition.go   events of an entry
//	work
//		make.go         entries of what is requested first, and of what is stored
//		obtain.go       readers: join a flight or start one
//		flight.go       calls of a flight
//		permit.go       what other hosts allow a flight
//		parent.go       dead values of parents, and children that wait for another
//		land.go         end of a flight that has brought a value
//		late_grant.go   grants of late answers, if WeChat refuses the one in force
//		fail.go         end of a flight that has not
//		host.go         bounds of a host: places, budgets, address list
//		endpoint.go     endpoints that the customers of an owner share
//		push.go         tickets and grants that are pushed or put
//		grant.go        customers' grants
//		amend.go        changes of several names
//		give.go         grants that are given and taken back
//		code.go         authorization codes
//		spent.go        codes that were exchanged
//		redeem.go       the exchange of a code
//		adopt.go        what an exchange has brought
//		shared_codes.go codes of which other hosts know, too
//		promise.go      codes whose arrival was acknowledged to WeChat
//		customers.go    WeChat's lists of customers
//		times.go        values and holds on disk, by the clock of a boot
//		redate.go       records of another boot, and corrections of the wall clock
//		contact.go      refreshes in the order of the hosts, and values while they are apart
//		follow.go       what other hosts have stored
//		follow_grant.go what of it are grants
//		save.go         what the disk has refused, and unused records
//		histories.go    last attempts on disk
//		early.go        reads while the store is being loaded
//		load.go         from the store to entries
//		dispatch.go     the schedule at work
//		reload.go       another configuration
//	entry points
//		engine.go       New, Run, Get, Reject, Refresh
//		list.go         List, Watch
//		report.go       Status, History, Stats, Census, and walks for metrics
//		details.go      Details, Recent and Children, for the status page
//
// # Locks
//
// In this order, each held for a few instructions unless noted otherwise:
//
//	dating.mu  while values are corrected; before entry.mu
//	Engine.calling  by name: while a call is made and lands
//	customerList.lock  by owner: while its pages are read
//	Engine.locks  by name: while the disk or the peers' store is written; never while WeChat is
//	    called. What is stored under a name, on disk and in memory, changes with the name locked:
//	    both change in the same order. Not locked while Engine.Follow is called, which locks names
//	codes.mu, then Engine.life
//	entry.mu, then Engine.life
//	schedule.mu, watchers.mu, histories.mu, sleepers.mu, index shards, ledger.mu, grantStore.mu,
//	    limiter.mu, asks.mu, endpoints.mu (then endpoint.mu), claims.mu, followedEarly.mu
//	hanging.mu, after schedule.mu or limiter.mu
package refresh
