package refresh

import (
	"context"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/record"
)

// historyEvery is how often new attempts are written. A kill loses those of this time; a value,
// a hold and a count never wait for it.
const historyEvery = time.Minute

// keepHistories writes new attempts now and then until ctx is done. The last ones are written by
// Run when everything has landed.
func (e *Engine) keepHistories(ctx context.Context) {
	for e.pause(ctx, historyEvery) {
		e.saveHistories(ctx)
	}
}

// saveHistories writes the attempts that are not on disk. What the disk refuses is tried again the
// next time.
func (e *Engine) saveHistories(ctx context.Context) {
	taken := e.histories.take()
	work := e.cfg.Throttle.Begin(ctx)
	defer work.End()
	batch := make([]*entry, 0, forgetBatch)
	var refused error
	flush := func() {
		if err := e.saveHistoriesOf(ctx, batch); err != nil {
			refused = err
			for _, en := range batch {
				e.histories.note(en)
			}
		}
		batch = batch[:0]
	}
	for en := range taken {
		work.Pause()
		if batch = append(batch, en); len(batch) == cap(batch) {
			flush()
		}
	}
	if len(batch) > 0 {
		flush()
	}
	if refused != nil && ctx.Err() == nil {
		e.log.Warn("cannot write histories: they are written when the disk takes them", "error", refused)
	}
}

// saveHistoriesOf writes the last attempts of all.
func (e *Engine) saveHistoriesOf(ctx context.Context, all []*entry) error {
	names := make([]string, 0, len(all))
	for _, en := range all {
		names = append(names, en.name)
	}
	end, err := e.locks.lock(ctx, names...)
	if err != nil {
		return err
	}
	defer end()
	var recs []record.Record
	for _, en := range all {
		en.mu.Lock()
		gone, run := en.gone() != nil, en.history.newestFirst()
		en.mu.Unlock()
		if gone {
			if e.historyUseless(en.name) {
				recs = append(recs, record.Record{Table: record.Histories, Key: en.name})
			}
			continue
		}
		recs = append(recs, historyRecord(en.name, joinHistories(run, e.keptHistory(en.name))))
	}
	if len(recs) == 0 {
		return nil
	}
	return e.cfg.Store.Put(ctx, recs...)
}

// historyUseless reports whether nobody can ask for the history of name, or it is a customer's
// credential that is not in use.
func (e *Engine) historyUseless(name string) bool {
	if e.index.get(name) != nil {
		return false
	}
	spec, err := e.lookup(name)
	return err != nil || spec.Policy.Lapses
}

// historyRecord returns the record of attempts, newest first, at most record.MaxAttempts.
func historyRecord(name string, attempts []credential.Attempt) record.Record {
	h := record.History{Name: name}
	for _, a := range attempts {
		h.Attempts = append(h.Attempts, record.Attempt{
			At: a.At, Cause: uint8(a.Cause), Outcome: a.Outcome, ErrCode: a.ErrCode, RID: a.RID, Took: a.Took,
		})
	}
	return h.Encode()
}

// keptHistory returns the attempts of name that are on disk, newest first. An unreadable record
// counts as none: the next write replaces it.
func (e *Engine) keptHistory(name string) (all []credential.Attempt) {
	r, err := e.cfg.Store.Get(record.Histories, name)
	if err != nil || r.Value == nil {
		return nil
	}
	h, err := record.DecodeHistory(r)
	if err != nil {
		return nil
	}
	for _, a := range h.Attempts {
		all = append(all, credential.Attempt{
			At: a.At, Cause: credential.Cause(a.Cause), Outcome: a.Outcome, ErrCode: a.ErrCode, RID: a.RID, Took: a.Took,
		})
	}
	return all
}

// joinHistories returns the attempts of this run, then those on disk that are not among them.
func joinHistories(run, kept []credential.Attempt) []credential.Attempt {
	met := make(map[int64]bool, len(run))
	for _, a := range run {
		met[a.At.UnixNano()] = true
	}
	for _, a := range kept {
		if !met[a.At.UnixNano()] {
			run = append(run, a)
		}
	}
	return run[:min(len(run), record.MaxAttempts)]
}
