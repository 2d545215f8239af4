// Package daemon is the life cycle. It starts the store, the engine, the socket and HTTP, reloads
// the configuration, makes backups, and stops everything in order. It does not know how a
// credential is fetched or parsed: see package catalog.
//
// # Goroutines
//
//	goroutine     started by  waited for by  owns
//	server        Run         Run            a listener and its connections; see package server
//	web           Run         Run            the HTTP listener, if configured; see package web
//	engine        Run         Run            the schedule, workers and fetches; see package refresh
//	committer     New         Run or Close   the store's writes; see package store
//	comparison    New         Run or Close   comparing journal and database; see package store
//
// # Pages
//
// If HTTP is configured, /metrics and the status page show a survey of all packages (pages.go). The
// survey is made per request. A user may see the pages if the socket would show the user the same.
// The pages need no counters of their own. Without HTTP they cost nothing.
//
// # Starting and stopping
//
// New opens the store and binds the socket, so that a lock, a wrong key or an address in use is an
// error before anything runs. Run answers requests while the engine still loads the store.
//
// Run stops in the order of the data flow: first the socket (no new requests; waiting requests are
// answered), then the engine (fetches of rotating credentials finish and are stored), then the
// store.
package daemon
