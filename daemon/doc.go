// Package daemon is the life cycle: it starts the store, the engine, the socket and HTTP, reloads the
// configuration, makes backups, and stops everything in order. It does not know how a credential is
// fetched or parsed: see package catalog.
//
// # Goroutines
//
//	goroutine     started by  waited for by  owns
//	server        Run         Run            a listener and its connections; see package server
//	web           Run         Run            the HTTP listener, if configured; see package web
//	engine        Run         Run            the schedule, its workers, every fetch; see package refresh
//	committer     New         Run or Close   the store's writes; see package store
//	comparison    New         Run or Close   the journal, until it and the database agree; see package store
//
// # Pages
//
// Where HTTP is configured, /metrics and the status page show a survey of all rooms, made when
// somebody looks (pages.go) and for whoever could learn the same over the socket (oversee.go).
// Nothing is counted for them that is not counted without them, and with HTTP off nothing of them
// is made.
//
// # Starting and stopping
//
// New opens the store and binds the socket, so that a lock, a wrong key or an address in use is
// known before anything runs. Run answers while the engine still loads what the store has: what is
// certain at once, the rest when it is loaded. It stops in the order of data: the socket first (no
// new request, those that wait are answered), then the engine (fetches of rotating credentials end
// and are stored), then the store.
package daemon
