// Package refresh is the engine: it holds every credential that is being used,
// answers readers from memory, fetches each credential once for all
// who want it, refreshes it ahead of its end, and remembers what
// must not be asked again. It knows kinds of credentials and how each is
// renewed; it knows no socket, no database and nothing of WeChat beyond that.
package refresh
