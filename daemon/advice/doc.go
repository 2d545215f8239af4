// Package advice is the table of the texts that help an operator: for each kind of trouble what
// tokend does and what to do, in English and Chinese. The command line, the status page and
// docs/errcodes.md have the same texts. The meanings of errcodes are in package fetchers, which
// shows them to clients.
//
// The package knows texts and which text applies. It does not know sockets, pages or terminals.
package advice
