package inbox

import (
	"context"
	"errors"
	"time"

	"tokend/daemon/refresh"
	"tokend/fetchers"
)

// EngineTime is how long the engine may take for one push. WeCom waits 1000 ms for the answer to an
// authorization event, from when it began to send; the rest is for the way.
const EngineTime = 900 * time.Millisecond

// maxCodeLife bounds what a message says of its code's life: beyond it, somebody's clock or
// arithmetic is wrong. Codes live for ten minutes or an hour.
const maxCodeLife = 24 * time.Hour

var (
	errUnknown = &refresh.Error{Reason: refresh.NotFound, RetryAfter: refresh.Never, Message: "no such owner of callbacks"}
	errForeign = &refresh.Error{Reason: refresh.Denied, RetryAfter: refresh.Never, Message: "the event is another owner's"}
	errLate    = &refresh.Error{Reason: refresh.Busy, RetryAfter: time.Second, Message: "not kept in time"}
)

// refused counts a push that is not ours to act on, and returns why as an error for a peer.
func (b *Inbox) refused(err error) error {
	b.counts.refused.Add(1)
	if _, ok := errors.AsType[*refresh.Error](err); ok {
		return err
	}
	reason := refresh.Unfit
	if errors.Is(err, fetchers.ErrSignature) || errors.Is(err, fetchers.ErrReceiver) {
		reason = refresh.Denied
	}
	return &refresh.Error{Reason: reason, RetryAfter: refresh.Never, Message: err.Error()}
}

// act does what a genuine event calls for. The event is kept whether or not its sender
// waits: it may not be sent again.
func (b *Inbox) act(ctx context.Context, o *Owner, e fetchers.Event) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), EngineTime)
	defer cancel()
	novel := b.counts.push(e.Kind)
	var err error
	switch {
	case e.Ticket != "":
		b.log.Debug("ticket received", "owner", o.Path, "kind", e.Kind)
		err = b.engine.Push(ctx, o.Ticket, e.Ticket, e.Time)
	case e.Code != "":
		b.log.Info("authorization code received", "owner", o.Path, "kind", e.Kind, "child", e.Child)
		err = b.accept(ctx, o, e)
	case e.Kind == fetchers.EventUnauthorized, e.Kind == fetchers.EventCancelAuth:
		b.log.Info("revocation received", "owner", o.Path, "kind", e.Kind, "child", e.Child)
		err = b.engine.Revoke(ctx, o.Grant(e.Child), e.Time)
	case novel:
		b.log.Info("push of a kind that changes no credential", "owner", o.Path, "kind", e.Kind, "child", e.Child)
	default:
		// A large customer's address book makes thousands of these.
		b.log.Debug("push of a kind that changes no credential", "owner", o.Path, "kind", e.Kind, "child", e.Child)
	}
	if err == nil {
		return nil
	}
	b.counts.failed.Add(1)
	b.log.Error("push not kept: WeChat has to send it again", "owner", o.Path, "kind", e.Kind, "child", e.Child, "error", err)
	if errors.Is(err, context.DeadlineExceeded) {
		return errLate
	}
	return err
}

// accept takes on the code of e. WeCom's messages do not name the customer.
func (b *Inbox) accept(ctx context.Context, o *Owner, e fetchers.Event) error {
	end := until(o, e, time.Now())
	if e.Child == "" {
		return b.engine.Accept(ctx, o.Path, e.Code, e.Time, end)
	}
	return b.engine.AcceptFrom(ctx, o.Path, e.Child, e.Code, e.Time, end)
}

// until returns when the code of e, which arrived at now, is of no use any more. An end that
// has passed already says that a clock is wrong, or that the message is an old one; which of
// them, WeChat's answer to the code will tell.
func until(o *Owner, e fetchers.Event, now time.Time) time.Time {
	if end := e.CodeExpires; end.After(now) && !end.After(now.Add(maxCodeLife)) {
		return end
	}
	return now.Add(o.CodeLife)
}
