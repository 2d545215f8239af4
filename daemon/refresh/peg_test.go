package refresh

import (
	"fmt"
	"sync"
	"testing"
	"time"
	"tokend/daemon/policy"
)

// hung is what a test hangs on a peg.
type hung struct {
	self Hung
	gone int
}

func (h *hung) Gone() { h.gone++ }

func hang(t *testing.T, p *Peg) *hung {
	t.Helper()
	h := new(hung)
	if h.self = h; !p.Hang(&h.self) {
		t.Fatal("the peg is not free")
	}
	return h
}

// pegOf reads name as a peer does, and waits for it where it must.
func (r *rig) pegOf(name string) *Peg {
	r.t.Helper()
	if v, ok := r.Cached([]byte(name)); ok {
		return v.Peg
	}
	v, err := r.Get(r.t.Context(), name)
	if err != nil {
		r.t.Fatal(err)
	}
	return v.Peg
}

func TestWhatHangsGoesWithTheAccount(t *testing.T) {
	bubble(t, func(t *testing.T) {
		one := Spec{Name: app, Policy: policy.StableToken, Fetcher: fresh(2 * time.Hour)}
		other := Spec{Name: tick, Policy: policy.StableToken, Fetcher: fresh(2 * time.Hour)}
		r := start(t, Config{Catalog: specs(one, other)})
		before, unread := r.pegOf(app), r.pegOf(tick)
		h := hang(t, before)
		for range 3 { // a reload that changes nothing, and new values
			r.SetCatalog(specs(one, other))
			time.Sleep(3 * time.Hour)
			if s, err := r.Status(app); r.pegOf(app).Load() != h || err != nil || s.Peg.Load() != h {
				t.Fatal("what hung is not there any more")
			}
		}
		r.SetCatalog(specs())
		if h.gone != 1 {
			t.Errorf("told %d times that the account is gone, want once", h.gone)
		}
		if h := new(hung); unread.Hang(&h.self) {
			t.Error("hung on the peg of what is gone, for nobody to take it down")
		}
		if before.Load() != h {
			t.Error("what hung is lost to who has got the peg before")
		}
		r.SetCatalog(specs(one, other))
		again := r.pegOf(app)
		if again.Load() != nil {
			t.Error("what hung is there again with the account")
		}
		hang(t, again)
		r.SetCatalog(specs(one, other))
		if h.gone != 1 {
			t.Errorf("told %d times, want once", h.gone)
		}
	})
}

func TestWhatHangsOutlivesALapse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPlatform("wxa")
		r := start(t, Config{Catalog: p.catalog()})
		r.mustPush("ticket", time.Now())
		name := customer("wxa", "access_token")
		r.mustPut(customer("wxa", "refresh_token"), "refresh")
		h := hang(t, r.pegOf(name))
		for range 3 {
			time.Sleep(12 * time.Hour)
			r.mustPush("ticket", time.Now())
			if r.index.get(name) != nil {
				t.Fatal("it has not lapsed")
			}
			if s, err := r.Status(name); err != nil || s.Peg.Load() != h {
				t.Fatalf("what hung is not shown: %v", err)
			}
			if r.pegOf(name).Load() != h {
				t.Fatal("what hung is not there any more")
			}
		}
		time.Sleep(12 * time.Hour)
		r.SetCatalog(specs())
		if h.gone != 1 {
			t.Errorf("told %d times that the account is gone, want once", h.gone)
		}
	})
}

// TestHangingMeetsGoing has readers hang things while accounts come and go: all that was hung is
// told that it is gone, once.
func TestHangingMeetsGoing(t *testing.T) {
	var all []Spec
	for i := range 8 {
		all = append(all, Spec{Name: fmt.Sprint("official_account/wx", i, "/access_token"), Policy: policy.StableToken, Fetcher: fresh(2 * time.Hour)})
	}
	e, err := New(Config{Hosts: bothHosts, Store: newDisk(), Catalog: specs(all...)})
	if err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	over, some := make(chan struct{}), make(chan struct{}, 1)
	hungBy := make([][]*hung, 4)
	for i := range hungBy {
		readers.Go(func() {
			for k := 0; ; k++ {
				select {
				case <-over:
					return
				default:
				}
				v, err := e.Get(t.Context(), all[k%len(all)].Name)
				if err != nil || v.Peg == nil {
					continue
				}
				h := new(hung)
				if h.self = h; v.Peg.Hang(&h.self) {
					hungBy[i] = append(hungBy[i], h)
					select {
					case some <- struct{}{}:
					default:
					}
				}
			}
		})
	}
	for range 200 {
		<-some
		e.SetCatalog(specs())
		e.SetCatalog(specs(all...))
	}
	close(over)
	readers.Wait()
	e.SetCatalog(specs())
	for _, hs := range hungBy {
		for _, h := range hs {
			if h.gone != 1 {
				t.Errorf("told %d times that the account is gone, want once", h.gone)
			}
		}
	}
}
