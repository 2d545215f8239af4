package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"tokend/daemon/catalog"
	"tokend/daemon/config"
)

// Reload applies another configuration. Accounts that have not changed are neither fetched again
// nor interrupted. If file changes a setting that needs a restart (the socket, the state directory,
// the key), Reload changes nothing and its error names all of them. If the new address of an HTTP
// listener cannot be bound, Reload changes nothing either. Reload waits until the store has been
// loaded or ctx ends.
func (d *Daemon) Reload(ctx context.Context, file *config.Config) error {
	d.reload.Lock()
	defer d.reload.Unlock()
	select {
	case <-d.engine.Loaded():
	case <-ctx.Done():
		return fmt.Errorf("reload: waiting for the store to be loaded: %w", ctx.Err())
	}
	if err := fixed(d.file, file); err != nil {
		return err
	}
	pushed, err := catalog.Owners(file)
	if err != nil {
		return err
	}
	moves, err := d.prepare(file)
	if err != nil {
		return err
	}
	work := d.throttle.BeginUrgent(ctx)
	defer work.End()
	step := func() { work.Step() }
	before := d.up.Load()
	up := before
	if !before.Equal(file.Upstream) {
		// Fetches in flight keep their connections. Close closes idle connections.
		defer before.Close()
		up = catalog.NewUpstream(file.Upstream, d.cfg.File.Limits.UpstreamCalls, d.calls, d.log)
	}
	next := catalog.New(file, up, step)
	seeds := catalog.Seeds(file, step)
	work.Rest() // the engine's work gets slices of its own
	d.up.Store(up)
	d.engine.SetCatalog(next)
	d.inbox.SetOwners(pushed)
	if err := d.engine.ApplySeeds(context.Background(), seeds); err != nil {
		d.log.Error("cannot store a configured grant: reload again when the disk accepts writes", "error", err)
	}
	d.server.SetAliases(file.Aliases) // before the rules, whose change makes subscriptions look again
	d.server.SetRules(rules(file.Access))
	d.server.SetLimits(limits(file))
	if file.Limits.UpstreamCalls != d.cfg.File.Limits.UpstreamCalls {
		d.log.Warn("upstream_calls takes effect after a restart")
	}
	d.server.ReadSubuids()
	d.setPages(file.Pages)
	moves.apply()
	file.EncryptionKey = d.file.EncryptionKey // the same, in locked memory
	d.file = file
	d.loaded.Store(time.Now().UnixNano())
	d.log.Info("configuration reloaded", "accounts", file.Accounts())
	return nil
}

// LongWork makes the reading of a configuration for Reload part of the daemon's long work, until
// end is called. pause is for [config.Env].
func (d *Daemon) LongWork(ctx context.Context) (pause, end func()) {
	work := d.throttle.BeginUrgent(ctx)
	return func() { work.Pause() }, work.End
}

// fixed returns an error if after changes a setting that needs a restart.
func fixed(before, after *config.Config) error {
	var errs []error
	refuse := func(differs bool, key string) {
		if differs {
			errs = append(errs, fmt.Errorf("%s cannot change while tokend runs: restart tokend", key))
		}
	}
	refuse(before.Socket != after.Socket, "socket")
	refuse(before.SocketMode != after.SocketMode, "socket_mode")
	refuse(before.StateDir != after.StateDir, "state_dir")
	refuse(before.EncryptionKey != after.EncryptionKey, "encryption_key")
	return errors.Join(errs...)
}

// moves are changes of the addresses of both endpoints that have been prepared.
type moves struct {
	http, pages move
	log         hclog.Logger
}

// prepare binds the addresses in file. If it fails, the endpoints continue at the old addresses.
func (d *Daemon) prepare(file *config.Config) (moves, error) {
	m := moves{log: d.log}
	var callbacks, pages string
	if file.HTTP != nil {
		callbacks = file.HTTP.Listen
	}
	if file.Pages != nil {
		pages = file.Pages.Listen
	}
	var err error
	if m.http, err = d.http.prepare(callbacks, d.newCallbacks); err != nil {
		return m, fmt.Errorf("[http] listen: %w", err)
	}
	if m.pages, err = d.pages.prepare(pages, d.newPages); err != nil {
		return m, errors.Join(fmt.Errorf("[pages] listen: %w", err), m.http.undo())
	}
	return m, nil
}

// apply makes the endpoints serve at the new addresses.
func (m moves) apply() {
	if m.http.apply() {
		m.log.Info("listening for callbacks", "address", m.http.address())
	}
	if m.pages.apply() {
		m.log.Info("listening for pages", "address", m.pages.address())
	}
}
