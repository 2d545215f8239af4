package wechattest

import (
	"context"
	"net/http"
	"time"
)

// serve answers one call. When the request's context ends, it returns early with a cut connection.
func (w *WeChat) serve(r *http.Request) reply {
	e, ok := w.endpoints[r.URL.Path]
	if !ok {
		return page(http.StatusNotFound)
	}
	q, err := read(r)
	if err != nil {
		return page(http.StatusBadRequest)
	}
	at := time.Now()

	w.mu.Lock()
	p := e.platform(w, q)
	k := counted{q.path, e.caller(w, q), q.query.Get("type")}
	w.counts.begin(k)
	f := w.fault(q.path, k.account)
	w.mu.Unlock()

	rep, a := w.carryOut(r.Context(), e, q, p, f, k.account)

	w.mu.Lock()
	w.counts.end(k)
	w.mu.Unlock()
	if w.set.OnCall != nil {
		w.set.OnCall(Call{At: at, Took: time.Since(at), Endpoint: k.endpoint, Account: k.account,
			ErrCode: a.code, Issued: a.issued, Trouble: f.trouble()})
	}
	return rep
}

// carryOut performs the call and applies the fault.
func (w *WeChat) carryOut(ctx context.Context, e endpoint, q *request, p platform, f Fault, caller string) (reply, answer) {
	cut := reply{cut: true}
	if f.Delay > 0 && !wait(ctx, f.Delay) {
		return cut, answer{}
	}
	switch {
	case f.Cut:
		return cut, answer{}
	case f.Status != 0:
		return page(f.Status), answer{}
	}
	a := w.act(e, q, p, f, caller)
	switch {
	case f.Code != 0:
	case f.Hang:
		<-ctx.Done()
		return cut, a
	case f.Lost:
		return cut, a
	}
	return f.spoil(a.wire(p)), a
}

// act determines the answer, as of now.
func (w *WeChat) act(e endpoint, q *request, p platform, f Fault, caller string) answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	q.now = time.Now()
	corp := q.corp(caller)

	a, decided := f.instead(p)
	if !decided {
		a, decided = e.refuseMethod(p, q.method)
	}
	if !decided && p == wecom && w.blocked(corp, q.now) {
		a, decided = refuse(p, 45009), true
	}
	if !decided {
		before := w.issued.n
		a = f.falsify(e.act(w, q))
		a.issued = w.issued.n > before
	}
	if p == wecom && a.code != 0 && a.code != 45009 {
		w.refused(corp, q.now)
	}
	return w.decorate(p, a, q.now)
}

// wait waits for d and reports whether ctx is still alive.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
