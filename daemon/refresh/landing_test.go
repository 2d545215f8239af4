package refresh

import (
	"context"
	"iter"
	"testing"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/daemon/record"
	"tokend/fetchers"
	"tokend/fetchers/secret"
)

// newValues answers another value each time.
type newValues struct{ last [64]byte }

func (f *newValues) Fetch(context.Context, fetchers.Ask) (fetchers.Token, error) {
	for i := range f.last {
		if f.last[i]++; f.last[i] != 0 {
			break
		}
	}
	return fetchers.Token{Value: secret.Text(f.last[:]), ExpiresIn: 2 * time.Hour}, nil
}

// mostLanding is the allocations of a flight of the schedule.
const mostLanding = 41

func TestLandingAllocs(t *testing.T) {
	fly := landing(t)
	if n := testing.AllocsPerRun(100, fly); n > mostLanding {
		t.Errorf("got %v allocations, want at most %d", n, mostLanding)
	}
}

// BenchmarkLanding measures a flight of the schedule, without WeChat and the disk.
func BenchmarkLanding(b *testing.B) {
	fly := landing(b)
	b.ReportAllocs()
	for b.Loop() {
		fly()
	}
}

// landing returns a function that makes such a flight.
func landing(b testing.TB) func() {
	e, err := New(Config{Store: nowhere{}, Catalog: specs(Spec{Name: app, Policy: policy.StableToken, Account: app, Owner: app, Fetcher: new(newValues)})})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := e.Get(b.Context(), app); err != nil {
		b.Fatal(err)
	}
	en := e.index.get(app)
	return func() {
		en.mu.Lock()
		f, err := e.startLocked(en, credential.CauseSchedule)
		en.mu.Unlock()
		if err == nil {
			_, err = f.wait(b.Context())
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// nowhere is a store that keeps nothing.
type nowhere struct{ Store }

func (nowhere) Put(context.Context, ...record.Record) error { return nil }

func (nowhere) Get(table record.Table, key string) (record.Record, error) {
	return record.Record{Table: table, Key: key}, nil
}

func (nowhere) All(record.Table) iter.Seq2[record.Record, error] {
	return func(func(record.Record, error) bool) {}
}
