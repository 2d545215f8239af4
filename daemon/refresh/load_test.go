package refresh

import (
	"context"
	"fmt"
	"testing"
	"time"

	"tokend/daemon/record"
	"tokend/daemon/store/memstore"
	"tokend/fetchers/secret"
)

// TestLoadServesWhatAGrantStandsBehind holds that a customer's value is served after a restart
// where its grant can be used, and where nobody can tell; and that it is gone where the grant is.
func TestLoadServesWhatAGrantStandsBehind(t *testing.T) {
	bubble(t, func(t *testing.T) {
		now := time.Now()
		moment := func(after time.Duration) record.Moment { return record.Moment{Wall: now.Add(after), Since: after} }
		grant := func(child string, revoked time.Time) record.Record {
			g := record.Grant{Name: customer(child, "refresh_token"), Revoked: revoked}
			g.Value, g.At, g.Source = "refresh", now, fromPut
			return g.Encode()
		}
		broken := grant("broken", time.Time{})
		broken.Value = broken.Value[:2]
		d := newDisk()
		recs := []record.Record{grant("good", time.Time{}), grant("revoked", now), broken}
		children := []string{"good", "revoked", "broken", "none"}
		for _, child := range children {
			recs = append(recs, record.Credential{Name: customer(child, "access_token"), Value: secret.Text("token-" + child),
				Issued: moment(0), Seen: moment(0), End: moment(2 * time.Hour), Life: 2 * time.Hour}.Encode())
		}
		if err := d.Put(context.Background(), recs...); err != nil {
			t.Fatal(err)
		}
		r := start(t, Config{Store: d, Catalog: newPlatform(children...).catalog()})
		for _, child := range children {
			name := customer(child, "access_token")
			v, served := r.Cached([]byte(name))
			want := child == "good" || child == "broken"
			if served != want || served && string(v.Text) != "token-"+child {
				t.Errorf("%s: got %q, %v; want it served: %v", child, string(v.Text), served, want)
			}
			if kept := d.has(record.Credentials, name); kept != want {
				t.Errorf("%s: on disk: %v, want %v", child, kept, want)
			}
		}
	})
}

// BenchmarkLoad takes over what a platform's customers have on disk; the store itself costs
// next to nothing.
func BenchmarkLoad(b *testing.B) {
	const n = 10_000
	now := time.Now()
	moment := func(after time.Duration) record.Moment { return record.Moment{Wall: now.Add(after), Since: after} }
	var d memstore.Store
	var children []string
	for i := range n {
		child := fmt.Sprintf("wx%016x", i)
		children = append(children, child)
		g := record.Grant{Name: customer(child, "refresh_token")}
		g.Value, g.At, g.Source = "refresh", now, fromPut
		c := record.Credential{Name: customer(child, "access_token"), Value: secret.Text(make([]byte, 512)),
			Issued: moment(0), Seen: moment(0), End: moment(2 * time.Hour), Life: 2 * time.Hour}
		if err := d.Put(b.Context(), g.Encode(), c.Encode()); err != nil {
			b.Fatal(err)
		}
	}
	cfg := Config{Hosts: bothHosts, Store: &d, Catalog: newPlatform(children...).catalog()}
	b.ReportAllocs()
	for b.Loop() {
		e, err := New(cfg)
		if err != nil {
			b.Fatal(err)
		}
		if len(e.index.all()) < n {
			b.Fatal("not all were loaded")
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/entry")
}
