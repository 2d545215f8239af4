// Package credential defines what the engine reports about credentials: values, states, attempts,
// errors and totals. The engine, the server, the callbacks, the metrics and the status page share
// these types. It contains only data. It does not know the engine, the store or sockets.
package credential
