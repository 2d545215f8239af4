package clientlib

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"tokend/protocol"
)

// Listing is where a credential stands: a line of [Client.List], or a change seen by a
// [Watcher].
type Listing = protocol.Listing

// Attempt is one refresh in the history of a credential.
type Attempt = protocol.Attempt

// Signature is what a page hands to wx.config or wx.agentConfig.
type Signature = protocol.Signature

// ImportPage is what came of importing one page of a platform's customers.
type ImportPage = protocol.ImportPage

// Callback is an encrypted message of WeChat's that a web page has received: three fields of
// its query and one of its body, as they came.
type Callback struct {
	MsgSignature string // not the field called signature, which covers no message
	Timestamp    string
	Nonce        string
	Encrypt      string
}

// Pair is one line of a status or of the statistics.
type Pair struct {
	Key   string
	Value string // "-" where there is none
}

// Ping asks whether the daemon is there.
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

// Get returns a value that is valid now. The daemon fetches it where it holds
// none; only then does Get wait for WeChat.
func (c *Client) Get(ctx context.Context, name string) (Credential, error) {
	return one(ctx, c, protocol.VerbGet, parseCredential, name)
}

// Reject says that WeChat refused value, and returns the one to use in its place. The
// daemon fetches a new one only if value is still the current one, so that every
// caller may say it. A value that comes back the same was answered by WeChat once more:
// then it is not the value that is wrong.
func (c *Client) Reject(ctx context.Context, name string, value Secret) (Credential, error) {
	return one(ctx, c, protocol.VerbReject, parseCredential, name, string(value))
}

// Refresh has the daemon fetch a new value whatever it holds. It spends quota and
// is meant for operators. It is never repeated: an error other than an
// [*Error] leaves open whether it was done.
func (c *Client) Refresh(ctx context.Context, name string) (Credential, error) {
	return one(ctx, c, protocol.VerbRefresh, parseCredential, name)
}

// Put hands in what the daemon cannot fetch: a ticket that WeChat has pushed to somebody else, or
// a grant (a refresh token, a permanent code). It returns nil when the value is safely
// on the daemon's disk. Putting the same again does no harm.
func (c *Client) Put(ctx context.Context, name string, value Secret) error {
	return c.done(ctx, protocol.VerbPut, name, string(value))
}

// Exchange has the daemon turn an authorization code into a customer's grant, and keep that. owner
// is open_platform/<component_appid> or open_work/<suite_id>; customer is owner/<child>, which the
// names of the customer's credentials begin with. It is never repeated; a caller may, since the
// daemon does not exchange one code twice.
func (c *Client) Exchange(ctx context.Context, owner string, code Secret) (customer string, err error) {
	return one(ctx, c, protocol.VerbExchange, protocol.ParseCustomer, owner, string(code))
}

// Push passes a callback to owner on to the daemon, which verifies and decrypts it and does what it
// says. Only after nil may the page that has received it answer "success". The fields of
// m may be whatever a stranger has sent: what is malformed is an [*Error] with
// [ErrBadRequest], and is not sent.
func (c *Client) Push(ctx context.Context, owner string, m Callback) error {
	return c.done(ctx, protocol.VerbPush, owner, m.MsgSignature, m.Timestamp, m.Nonce, m.Encrypt)
}

// Import has the daemon take in the page of owner's customers that begins at offset, 0 for the
// first one. Go on with the Next of what it returns until that is 0. It is never repeated; a caller
// may, at the cost of another call to WeChat.
func (c *Client) Import(ctx context.Context, owner string, offset int) (ImportPage, error) {
	return one(ctx, c, protocol.VerbImport, protocol.ParseImportPage, owner, strconv.Itoa(offset))
}

// Sign returns the JS-SDK signature of the page at url with the ticket name,
// which stays with the daemon.
func (c *Client) Sign(ctx context.Context, name, url string) (Signature, error) {
	return one(ctx, c, protocol.VerbSign, protocol.ParseSignature, name, url)
}

// List returns the credentials whose names begin with prefix, in the order of
// their names; all of them for "".
func (c *Client) List(ctx context.Context, prefix string) ([]Listing, error) {
	return many(ctx, c, protocol.VerbList, protocol.ParseListing, prefix)
}

// Status returns what there is to say of a credential, in the daemon's order.
func (c *Client) Status(ctx context.Context, name string) ([]Pair, error) {
	return many(ctx, c, protocol.VerbStatus, parsePair, name)
}

// History returns the last refreshes of a credential, newest first.
func (c *Client) History(ctx context.Context, name string) ([]Attempt, error) {
	return many(ctx, c, protocol.VerbHistory, protocol.ParseAttempt, name)
}

// Reload has the daemon read its configuration again. It is for root and the daemon's own user. A
// configuration that is wrong is refused with [ErrBadRequest] and changes nothing; the daemon's log
// names everything that is.
func (c *Client) Reload(ctx context.Context) error { return c.done(ctx, protocol.VerbReload) }

// Backup writes a backup of all that the daemon keeps to w, sealed with the key of its store. It is
// for root and the daemon's own user. Only after nil has w been given the whole of it. A large one
// takes its time: give ctx a deadline that suits, since Client.Timeout is meant for single values.
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

// done makes a request whose reply is a plain OK.
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

// many makes a request whose reply is a count and as many lines.
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

// readLines reads a count and as many lines. On an error it returns nothing: half a list
// would look like a short one.
func readLines[T any](cn *conn, parse func(string) (T, error)) ([]T, error) {
	fields, err := cn.reply()
	if err != nil {
		return nil, err
	}
	n, err := protocol.ParseCount(fields)
	if err != nil {
		return nil, err
	}
	all := make([]T, 0, min(n, 1024)) // a count alone must not cost memory
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
