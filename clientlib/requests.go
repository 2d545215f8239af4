package clientlib

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"tokend/protocol"
)

// Listing is the state of one credential: a line of [Client.List], or a change from a [Watcher].
type Listing = protocol.Listing

// Attempt is one refresh in the history of a credential.
type Attempt = protocol.Attempt

// Signature holds the fields that a page passes to wx.config or wx.agentConfig.
type Signature = protocol.Signature

// ImportPage is the result of importing one page of a platform's customers.
type ImportPage = protocol.ImportPage

// Callback is an encrypted message from WeChat, as a web server received it: three fields of the
// query and one of the body.
type Callback struct {
	MsgSignature string // not the field "signature", which does not cover the message
	Timestamp    string
	Nonce        string
	Encrypt      string
}

// Pair is one line of a status or of the statistics.
type Pair struct {
	Key   string
	Value string // "-" if none
}

// Ping checks that the daemon replies.
func (c *Client) Ping(ctx context.Context) error {
	_, err := one(ctx, c, protocol.VerbPing, func(fields string) (struct{}, error) {
		if fields != "PONG" {
			return struct{}{}, ErrMalformed
		}
		return struct{}{}, nil
	})
	return err
}

// Version returns the daemon's version.
func (c *Client) Version(ctx context.Context) (string, error) {
	return one(ctx, c, protocol.VerbVersion, protocol.ParseVersion)
}

// Get returns a valid value. It waits for WeChat only if the daemon has no valid value.
func (c *Client) Get(ctx context.Context, name string) (Credential, error) {
	return one(ctx, c, protocol.VerbGet, parseCredential, name)
}

// Reject reports that WeChat refused value, and returns the value to use instead. The daemon
// fetches a new value only if value is still the current one, so every caller may report it. If the
// returned value is the same, WeChat has just confirmed it: then the value is not the cause.
func (c *Client) Reject(ctx context.Context, name string, value Secret) (Credential, error) {
	return one(ctx, c, protocol.VerbReject, parseCredential, name, string(value))
}

// Refresh fetches a new value in any case. It spends quota and is meant for operators. It is never
// repeated: after an error other than an [*Error] the fetch may have been done.
func (c *Client) Refresh(ctx context.Context, name string) (Credential, error) {
	return one(ctx, c, protocol.VerbRefresh, parseCredential, name)
}

// Put submits a value that the daemon cannot fetch: a ticket that WeChat pushed to another program,
// or a grant (a refresh token, a permanent code). It returns nil when the value is durable. Putting
// the same value again is harmless.
func (c *Client) Put(ctx context.Context, name string, value Secret) error {
	return c.done(ctx, protocol.VerbPut, name, string(value))
}

// Exchange trades an authorization code for a customer's grant, which the daemon stores. owner is
// open_platform/<component_appid> or open_work/<suite_id>. customer is owner/<child>, the prefix of
// the names of the customer's credentials. Exchange is never repeated. A caller may repeat it,
// since the daemon does not exchange a code twice.
func (c *Client) Exchange(ctx context.Context, owner string, code Secret) (customer string, err error) {
	return one(ctx, c, protocol.VerbExchange, protocol.ParseCustomer, owner, string(code))
}

// Push submits a callback for owner to the daemon, which verifies, decrypts and processes it. The
// web server may answer "success" only if Push returns nil. The fields of m may come from an
// attacker: malformed fields result in an [*Error] with [ErrBadRequest] and are not sent.
func (c *Client) Push(ctx context.Context, owner string, m Callback) error {
	return c.done(ctx, protocol.VerbPush, owner, m.MsgSignature, m.Timestamp, m.Nonce, m.Encrypt)
}

// Import imports the page of owner's customers that begins at offset, which is 0 for the first
// page. Repeat it with the returned Next until Next is 0. Import is never repeated. A caller may
// repeat it, at the cost of another call to WeChat.
func (c *Client) Import(ctx context.Context, owner string, offset int) (ImportPage, error) {
	return one(ctx, c, protocol.VerbImport, protocol.ParseImportPage, owner, strconv.Itoa(offset))
}

// Sign returns the JS-SDK signature of the page at url, made with the ticket name. The daemon does
// not reveal the ticket.
func (c *Client) Sign(ctx context.Context, name, url string) (Signature, error) {
	return one(ctx, c, protocol.VerbSign, protocol.ParseSignature, name, url)
}

// List returns the credentials whose names begin with prefix, sorted by name. An empty prefix lists
// all.
func (c *Client) List(ctx context.Context, prefix string) ([]Listing, error) {
	return many(ctx, c, protocol.VerbList, protocol.ParseListing, prefix)
}

// Status returns the fields of a credential's status, in the daemon's order.
func (c *Client) Status(ctx context.Context, name string) ([]Pair, error) {
	return many(ctx, c, protocol.VerbStatus, parsePair, name)
}

// History returns the last refreshes of a credential, newest first.
func (c *Client) History(ctx context.Context, name string) ([]Attempt, error) {
	return many(ctx, c, protocol.VerbHistory, protocol.ParseAttempt, name)
}

// Reload makes the daemon read its configuration again. It requires root or the daemon's own user.
// An invalid configuration results in [ErrBadRequest] and changes nothing. The daemon logs every
// mistake.
func (c *Client) Reload(ctx context.Context) error { return c.done(ctx, protocol.VerbReload) }

// Backup writes a backup of the daemon's store to w, encrypted with the store's key. It requires
// root or the daemon's own user. The backup is complete only if Backup returns nil. Give ctx a
// deadline that suits a large backup: Client.Timeout is meant for single values.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	return c.ask(ctx, protocol.VerbBackup, func(cn *conn) error {
		fields, err := cn.reply()
		if err != nil {
			return err
		}
		n, err := protocol.ParseCount(fields)
		if err != nil {
			return err
		}
		for range n {
			line, err := cn.readLine()
			if err != nil {
				return err
			}
			piece, err := protocol.ParsePiece(line)
			if err != nil {
				return err
			}
			if _, err := w.Write(piece); err != nil {
				return fmt.Errorf("write the backup: %w", err)
			}
		}
		return nil
	})
}

// Stats returns the daemon's counters, in the order of their keys.
func (c *Client) Stats(ctx context.Context) ([]Pair, error) {
	return many(ctx, c, protocol.VerbStats, parsePair)
}

// done makes a request whose reply is OK without fields.
func (c *Client) done(ctx context.Context, verb protocol.Verb, args ...string) error {
	_, err := one(ctx, c, verb, func(fields string) (struct{}, error) {
		if fields != "" {
			return struct{}{}, ErrMalformed
		}
		return struct{}{}, nil
	}, args...)
	return err
}

// one makes a request whose reply is one line.
func one[T any](ctx context.Context, c *Client, verb protocol.Verb, parse func(string) (T, error), args ...string) (result T, err error) {
	err = c.ask(ctx, verb, func(cn *conn) error {
		fields, err := cn.reply()
		if err != nil {
			return err
		}
		result, err = parse(fields)
		return err
	}, args...)
	if err != nil {
		var none T
		return none, err
	}
	return result, nil
}

// many makes a request whose reply is a count and that many lines.
func many[T any](ctx context.Context, c *Client, verb protocol.Verb, parse func(string) (T, error), args ...string) (result []T, err error) {
	err = c.ask(ctx, verb, func(cn *conn) (err error) {
		result, err = readLines(cn, parse)
		return err
	}, args...)
	if err != nil {
		return nil, err
	}
	return result, nil
}

// readLines reads a count and that many lines. On an error it returns nothing, since half a list
// would look complete.
func readLines[T any](cn *conn, parse func(string) (T, error)) ([]T, error) {
	fields, err := cn.reply()
	if err != nil {
		return nil, err
	}
	n, err := protocol.ParseCount(fields)
	if err != nil {
		return nil, err
	}
	all := make([]T, 0, min(n, 1024)) // do not trust the count with memory
	for range n {
		line, err := cn.readLine()
		if err != nil {
			return nil, err
		}
		item, err := parse(line)
		if err != nil {
			return nil, err
		}
		all = append(all, item)
	}
	return all, nil
}

func parseCredential(fields string) (Credential, error) {
	ttl, value, err := protocol.ParseValue(fields)
	return Credential{Value: Secret(value), TTL: ttl}, err
}

func parsePair(line string) (Pair, error) {
	key, value, err := protocol.ParsePair(line)
	return Pair{Key: key, Value: value}, err
}
