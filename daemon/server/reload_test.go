package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"tokend/daemon/access"
)

// reloadOnce returns a Reload that succeeds the first time.
func reloadOnce() func(context.Context) error {
	var n atomic.Int64
	return func(context.Context) error {
		if n.Add(1) == 1 {
			return nil
		}
		return errors.New(`tokend.toml:7: [[work]] unknown key "corp"`)
	}
}

// TestReload checks that only root and the daemon's own user can reload, whatever the rules are.
// The audit log has the user, and an error is one line.
func TestReload(t *testing.T) {
	const alice = 1201
	all := []access.Rule{{UIDs: []uint32{alice}, Names: []string{"*"}, Verbs: []string{"RELOAD", "GET"}}}
	const denied = "ERR DENIED - RELOAD is not granted to this user\n"
	two := errors.Join(errors.New("f:1: one"), errors.New("f:2: two"))
	tests := []struct {
		about   string
		uid     uint32
		rules   []access.Rule
		err     error
		want    string
		outcome string // of the line in the audit
	}{
		{"root", 0, nil, nil, "OK\n", "outcome=ok"},
		{"root, and it is refused", 0, nil, two, "ERR BAD_REQUEST - the old configuration stays: f:1: one; f:2: two\n", "outcome=BAD_REQUEST"},
		{"root, and the daemon stops before", 0, nil, fmt.Errorf("reload: %w", context.Canceled), "ERR SHUTDOWN 1 the daemon is stopping\n", "outcome=SHUTDOWN"},
		{"another without rules", alice, nil, nil, denied, "outcome=DENIED"},
		{"another whom a rule names", alice, all, nil, denied, "outcome=DENIED"},
	}
	for _, tt := range tests {
		var log syncBuffer
		calls := 0
		srv := New(Config{Engine: newFakeEngine(), Logger: testLogger(&log), Rules: tt.rules,
			Reload: func(context.Context) error { calls++; return tt.err }})
		got, _ := drive(t, sessionOf(srv, access.Peer{UID: tt.uid}), []byte("RELOAD\n"))
		if got != tt.want {
			t.Errorf("%s:\n got %q\nwant %q", tt.about, got, tt.want)
		}
		if allowed := tt.uid == 0; (calls == 1) != allowed {
			t.Errorf("%s: %d reloads", tt.about, calls)
		}
		lines := auditLines(log.String())
		if len(lines) != 1 || !strings.HasPrefix(lines[0], "verb=RELOAD name=- uid=") || !strings.HasSuffix(lines[0], tt.outcome) {
			t.Errorf("%s: audit\n got %q\nwant RELOAD with %s", tt.about, lines, tt.outcome)
		}
	}
}
