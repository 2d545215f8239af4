package server

import (
	"context"
	"net"
	"testing"
	"testing/synctest"

	"tokend/daemon/access"
	"tokend/daemon/credential"
	"tokend/fetchers/secret"
)

// askers is an engine that notes the user of each request, and has nothing.
type askers struct {
	*fakeEngine
	users *[]any
}

func (e askers) Get(ctx context.Context, _ string) (credential.Value, error) {
	*e.users = append(*e.users, credential.UserOf(ctx))
	return credential.Value{}, errNoSuch
}

func (e askers) Reject(ctx context.Context, name string, _ secret.Text) (credential.Value, error) {
	return e.Get(ctx, name)
}

// TestUserPassedOn holds that the engine learns which requests are made for one user: it shares
// what is scarce among users, not among connections. Operators' requests are made for nobody it
// knows.
func TestUserPassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peers := []uint32{guest, guest + 1, guest, 0}
		dialed := 0
		var users []any
		r := start(t, Config{Engine: askers{newFakeEngine(), &users}, peer: func(net.Conn) (access.Peer, error) {
			dialed++
			return access.Peer{UID: peers[dialed-1]}, nil
		}})
		for range peers {
			c := r.ln.dial(t)
			c.ask("GET official_account/wx9/access_token")
			c.ask("REJECT official_account/wx9/access_token value")
			c.Close()
		}
		if len(users) != 8 || users[0] == nil || users[0] != users[1] || users[2] != users[3] || users[0] == users[2] || users[0] != users[4] {
			t.Fatalf("the requests of four connections, two of them of one user, were made for %v", users)
		}
		if users[6] != nil || users[7] != nil {
			t.Errorf("the requests of root were made for %v and %v", users[6], users[7])
		}
	})
}
