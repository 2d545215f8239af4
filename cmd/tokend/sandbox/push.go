package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"tokend/fetchers/wechattest"
)

// push pushes tickets at WeChat's interval and events at once, until ctx is done.
func (s *Sandbox) push(ctx context.Context) {
	// The next ticket is due in ten minutes, too late for a user who starts tokend second.
	if s.heard(ctx) {
		s.wechat.RunPushes(ctx)
	}
}

// lookEvery is the interval of checks whether tokend listens.
const lookEvery = 200 * time.Millisecond

// heard returns true when a process listens at the callback address, or false when ctx is done.
func (s *Sandbox) heard(ctx context.Context) bool {
	var d net.Dialer
	for {
		conn, err := d.DialContext(ctx, "tcp", s.callback)
		if err == nil {
			_ = conn.Close()
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(lookEvery):
		}
	}
}

// pushed is a [wechattest.Settings.OnPush]. After the first accepted ticket, the owner's customer
// authorizes.
func (s *Sandbox) pushed(d wechattest.Delivery) {
	s.calls.notePush(d)
	if d.Err != nil || !strings.HasSuffix(d.Kind, "_ticket") {
		return
	}
	for _, o := range s.owners {
		if o.ID != d.Owner {
			continue
		}
		if _, before := s.welcomed.LoadOrStore(o.ID, true); !before {
			s.wechat.Authorize(o.ID, o.Customer)
		}
	}
}

// taken describes how a push was answered. The answer itself may contain anything and is not shown.
func taken(d wechattest.Delivery) string {
	switch {
	case d.Err == nil:
		return "success"
	case errors.Is(d.Err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(d.Err, context.DeadlineExceeded), errors.Is(d.Err, os.ErrDeadlineExceeded):
		return "no answer in time"
	case d.Status == 0:
		return "no answer"
	case d.Status != http.StatusOK:
		return fmt.Sprintf("HTTP %d", d.Status)
	}
	return "an answer other than success"
}
