package inbox

import (
	"context"
	"errors"
	"time"

	"tokend/daemon/credential"
	"tokend/fetchers"
)

// EngineTime is how long the engine may take for one push. WeCom waits 1000 ms for the answer to an
// authorization event, counted from when WeCom began to send. The rest is for the network.
const EngineTime = 900 * time.Millisecond

// maxCodeLife bounds the lifetime that a message gives for its code. A longer one comes from a
// wrong clock or a miscalculation. Codes are valid for ten minutes or an hour.
const maxCodeLife = 24 * time.Hour

var (
	errUnknown = &credential.Error{Reason: credential.NotFound, RetryAfter: credential.Never, Message: "unknown callback owner"}
	errForeign = &credential.Error{Reason: credential.Denied, RetryAfter: credential.Never, Message: "the event belongs to another owner"}
	errLate    = &credential.Error{Reason: credential.Busy, RetryAfter: time.Second, Message: "not stored in time"}
)

// refused counts a rejected push to owner and converts err to an error for a peer.
func (b *Inbox) refused(owner string, err error) error {
	if b.owner(owner) == nil {
		owner = "" // a stranger may send any: they share one count
	}
	b.counts.refuse(owner, refusalOf(err))
	if _, ok := errors.AsType[*credential.Error](err); ok {
		return err
	}
	reason := credential.Unfit
	if errors.Is(err, fetchers.ErrSignature) || errors.Is(err, fetchers.ErrReceiver) {
		reason = credential.Denied
	}
	return &credential.Error{Reason: reason, RetryAfter: credential.Never, Message: err.Error()}
}

// refusalOf returns why a push was rejected with err.
func refusalOf(err error) credential.Refusal {
	switch {
	case errors.Is(err, errUnknown):
		return credential.WrongOwner
	case errors.Is(err, errForeign), errors.Is(err, fetchers.ErrReceiver):
		return credential.WrongReceiver
	case errors.Is(err, fetchers.ErrSignature):
		return credential.WrongSignature
	case errors.Is(err, fetchers.ErrKey):
		return credential.WrongKey
	}
	return credential.WrongForm
}

// act processes a genuine event. The event is stored even if its sender stops waiting, because the
// sender may not repeat it.
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
		// A customer with a large address book causes thousands of them.
		b.log.Debug("push of a kind that changes no credential", "owner", o.Path, "kind", e.Kind, "child", e.Child)
	}
	if err == nil {
		return nil
	}
	b.counts.failed.Add(1)
	b.log.Error("push not stored: WeChat must resend it", "owner", o.Path, "kind", e.Kind, "child", e.Child, "error", err)
	if errors.Is(err, context.DeadlineExceeded) {
		return errLate
	}
	return err
}

// accept passes the code of e to the engine. WeCom's messages do not name the customer.
func (b *Inbox) accept(ctx context.Context, o *Owner, e fetchers.Event) error {
	end := until(o, e, time.Now())
	if e.Child == "" {
		return b.engine.Accept(ctx, o.Path, e.Code, e.Time, end)
	}
	return b.engine.AcceptFrom(ctx, o.Path, e.Child, e.Code, e.Time, end)
}

// until returns when the code of e, received at now, expires. An expiry that has already passed
// means that a clock is wrong or that the message is old. WeChat's answer to the code shows which.
func until(o *Owner, e fetchers.Event, now time.Time) time.Time {
	if end := e.CodeExpires; end.After(now) && !end.After(now.Add(maxCodeLife)) {
		return end
	}
	return now.Add(o.CodeLife)
}
