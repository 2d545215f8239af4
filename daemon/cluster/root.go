package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tokend/daemon/cluster/seal"
	"tokend/daemon/record"
	"tokend/fetchers/secret"
)

// ErrKey is returned if another encryption key has sealed the cluster's secret.
var ErrKey = errors.New("encryption_key does not match")

// rootKey is the key of the cluster's secret.
func rootKey(prefix string) string { return prefix + "/v" }

// joinPause is between two attempts to join.
const joinPause = time.Second

// membership is what a host that has joined keeps in its own store, among the keys.
type membership struct {
	Prefix  string `json:"prefix"`
	Cluster []byte `json:"cluster"`
	Secret  []byte `json:"secret"`
}

// membershipName is its name there.
const membershipName = "cluster"

// join returns the cluster's root. A host that has joined before needs no etcd for it. The first
// host of a cluster creates the root.
func (h *Host) join(ctx context.Context) (seal.Root, error) {
	known, err := h.readMembership()
	if err != nil {
		return seal.Root{}, err
	}
	warned := false
	for {
		root, err := h.readRoot(ctx, known)
		switch {
		case err == nil && known != nil && string(known.Cluster) != string(root.Cluster[:]):
			return seal.Root{}, fmt.Errorf("this store has joined another cluster under %s: restore that etcd, or run tokend cluster leave --offline", known.Prefix)
		case err == nil && known == nil:
			return root, h.writeMembership(ctx, root)
		case err == nil, errors.Is(err, ErrKey), isFormat(err), ctx.Err() != nil:
			return root, err
		case known != nil:
			h.log.Warn("etcd is unreachable: this host serves what it has", "error", err)
			return seal.Root{Cluster: [seal.ClusterIDSize]byte(known.Cluster), Secret: secret.Text(known.Secret)}, nil
		case !warned:
			h.log.Warn("etcd is unreachable: this host has not joined yet", "error", err)
			warned = true
		}
		if !pause(ctx, joinPause) {
			return seal.Root{}, ctx.Err()
		}
	}
}

// readRoot reads the root from etcd, or creates it. If etcd has lost it, a host that has joined
// puts it back: with another one, no host could read what the others have.
func (h *Host) readRoot(ctx context.Context, known *membership) (seal.Root, error) {
	root := seal.NewRoot(h.cfg.Presence.Version)
	if known != nil {
		root.Cluster, root.Secret = [seal.ClusterIDSize]byte(known.Cluster), secret.Text(known.Secret)
	}
	stored, created, err := h.createRoot(ctx, root, known != nil)
	if err != nil || created {
		return root, err
	}
	return openRoot(h.cfg.Key, h.cfg.Prefix, stored.Value)
}

// createRoot stores root, unless etcd has one, which it returns. lost: etcd had root before.
func (h *Host) createRoot(ctx context.Context, root seal.Root, lost bool) (stored KeyValue, created bool, err error) {
	key := rootKey(h.cfg.Prefix)
	root.Version = h.cfg.Presence.Version
	value, err := root.Seal(h.cfg.Key, key)
	if err != nil {
		return KeyValue{}, false, err
	}
	o, err := h.txn(ctx, Txn{
		If:   []Compare{{Key: key, Field: Version, Value: 0}},
		Then: []Op{{Verb: Put, Key: key, Value: value}},
		Else: []Op{{Verb: Get, Key: key}},
	})
	switch {
	case err != nil:
		return KeyValue{}, false, err
	case !o.Held:
		return o.Got[0], false, nil
	case lost:
		h.log.Error("put back in etcd: etcd had lost the cluster's secret")
	}
	return KeyValue{}, true, nil
}

// openRoot opens the stored root of a cluster.
func openRoot(key []byte, prefix string, value []byte) (seal.Root, error) {
	root, err := seal.OpenRoot(key, rootKey(prefix), value)
	switch unknown, newer := errors.AsType[*seal.FormatError](err); {
	case errors.Is(err, seal.ErrSealed):
		return root, fmt.Errorf("%w: %s was sealed with another key", ErrKey, prefix)
	case newer:
		return root, &FormatError{prefix, unknown}
	}
	return root, err
}

// FormatError is returned if a newer tokend has sealed the cluster's secret.
type FormatError struct {
	Prefix string
	Found  *seal.FormatError
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("%s was written by tokend %s: this version reads formats up to %d", e.Prefix, cmp.Or(e.Found.Version, "unknown"), seal.RootFormat)
}

func isFormat(err error) bool {
	_, ok := errors.AsType[*FormatError](err)
	return ok
}

// Rekey seals the cluster's secret with another encryption key. No other value in etcd changes.
// Running hosts continue. Each needs the new key at its next start.
func Rekey(ctx context.Context, link *Link, prefix string, before, after []byte) error {
	key := rootKey(prefix)
	for {
		o, err := link.txn(ctx, Txn{Then: []Op{{Verb: Get, Key: key}}})
		if err != nil {
			return err
		}
		stored := o.Got[0]
		if !stored.Present() {
			return fmt.Errorf("%s has no cluster", prefix)
		}
		if _, err := openRoot(after, prefix, stored.Value); err == nil {
			return nil // an attempt without an answer was applied
		}
		root, err := openRoot(before, prefix, stored.Value)
		if err != nil {
			return err
		}
		value, err := root.Seal(after, key)
		if err != nil {
			return err
		}
		o, err = link.txn(ctx, Txn{
			If:   []Compare{{Key: key, Field: Modified, Value: stored.Modified}},
			Then: []Op{{Verb: Put, Key: key, Value: value}},
		})
		if err == nil && o.Held || err != nil && (Refused(err) || ctx.Err() != nil) {
			return err
		}
	}
}

func (h *Host) readMembership() (*membership, error) {
	r, err := h.cfg.Local.Get(record.Keys, membershipName)
	if err != nil || r.Value == nil {
		return nil, err
	}
	k, err := record.DecodeKey(r)
	var m membership
	if err == nil {
		err = json.Unmarshal(k.Bytes, &m)
	}
	if err == nil && (len(m.Cluster) != seal.ClusterIDSize || len(m.Secret) != seal.SecretSize) {
		err = record.ErrCorrupt
	}
	if err != nil {
		return nil, fmt.Errorf("read which cluster this store has joined: %w", err)
	}
	if m.Prefix != h.cfg.Prefix {
		return nil, fmt.Errorf("this store has joined %s: configure [cluster], or run tokend cluster leave", m.Prefix)
	}
	return &m, nil
}

func (h *Host) writeMembership(ctx context.Context, root seal.Root) error {
	b, err := json.Marshal(membership{Prefix: h.cfg.Prefix, Cluster: root.Cluster[:], Secret: []byte(root.Secret)})
	if err != nil {
		return err
	}
	return h.cfg.Local.Put(ctx, record.Key{Name: membershipName, Bytes: b}.Encode())
}

// pause waits for d and reports whether ctx lasted as long. It makes no timer that is due at once:
// in virtual time, two goroutines that run such timers crash the race detector of Go 1.26.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
