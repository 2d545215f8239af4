package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tokend/daemon/catalog"
	"tokend/daemon/config"
)

// Reload puts another configuration in force. Accounts that it does not change are neither
// fetched again nor interrupted. What only a restart can change (the socket, the state
// directory, the key) is refused as a whole, every such setting named; the old
// configuration stays then. It waits until what was kept has been loaded, which ctx may end.
func (d *Daemon) Reload(ctx context.Context, file *config.Config) error {
	d.reload.Lock()
	defer d.reload.Unlock()
	select {
	case <-d.engine.Loaded():
	case <-ctx.Done():
		return fmt.Errorf("reload, while what was kept is being loaded: %w", ctx.Err())
	}
	if err := fixed(d.file, file); err != nil {
		return err
	}
	pushed, err := catalog.Owners(file)
	if err != nil {
		return err
	}
	up := d.up.Load()
	if !up.Equal(file.Upstream) {
		// Fetches that are under way go on with their connections; what is idle is let go.
		defer up.Close()
		up = catalog.NewUpstream(file.Upstream, d.cfg.File.Limits.UpstreamCalls, d.calls, d.log)
		d.up.Store(up)
	}
	d.engine.SetCatalog(catalog.New(file, up))
	d.inbox.SetOwners(pushed)
	if err := d.engine.ApplySeeds(context.Background(), catalog.Seeds(file)); err != nil {
		d.log.Error("a configured grant could not be written: reload again when the disk takes it", "error", err)
	}
	d.server.SetRules(rules(file.Access))
	d.server.SetLimits(limits(file))
	if file.Limits.UpstreamCalls != d.cfg.File.Limits.UpstreamCalls {
		d.log.Warn("upstream_calls changes at the next start")
	}
	d.server.ReadSubuids()
	if d.web != nil {
		d.setPages(d.web, file.HTTP)
	}
	d.file = file
	d.loaded.Store(time.Now().UnixNano())
	d.log.Info("configuration reloaded", "accounts", file.Accounts())
	return nil
}

// fixed returns what differs between before and after and cannot be changed while running.
func fixed(before, after *config.Config) error {
	var errs []error
	refuse := func(differs bool, key string) {
		if differs {
			errs = append(errs, fmt.Errorf("%s cannot change while tokend runs: restart it", key))
		}
	}
	refuse(before.Socket != after.Socket, "socket")
	refuse(before.SocketMode != after.SocketMode, "socket_mode")
	refuse(before.StateDir != after.StateDir, "state_dir")
	refuse(listen(before) != listen(after), "[http] listen")
	refuse(before.EncryptionKey != after.EncryptionKey, "encryption_key")
	return errors.Join(errs...)
}

// listen returns the address of the HTTP listener, "" for none.
func listen(file *config.Config) string {
	if file.HTTP == nil {
		return ""
	}
	return file.HTTP.Listen
}
