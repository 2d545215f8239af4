// Package daemon is what runs: it puts the rooms together (configuration,
// store, engine, socket), says in what order they start and stop, and who waits for
// whom. It decides nothing about credentials, and parses nothing.
//
// # Goroutines
//
//	goroutine     started by  waited for by  owns
//	server        Run         Run            a listener and its connections; see package server
//	web           Run         Run            the HTTP listener, if configured; see package web
//	engine        Run         Run            the schedule, its workers, every fetch; see package refresh
//	committer     New         Run or Close   the store's writes; see package store
//
// # Starting and stopping
//
// New opens the store and binds the socket, so that a lock, a wrong key or
// an address in use is known before anything runs. Run answers while the engine still loads what the store has: what
// is certain at once, the rest when it is loaded. It stops in the order of data: the
// socket first (no new request, those that wait are answered), then the engine
// (fetches of rotating credentials end and are stored), then the store.
package daemon
