package server

import (
	"fmt"
	"strings"
	"testing"

	"tokend/daemon/access"
	"tokend/daemon/alias"
	"tokend/daemon/refresh"
	"tokend/daemon/store/memstore"
)

// aliases200 are 200 aliases, all of which begin alike.
func aliases200() []alias.Alias {
	var all []alias.Alias
	for i := range 200 {
		all = append(all, alias.Alias{Key: fmt.Sprintf("company:wechat:token:%03d:{app_id}", i), Name: "official_account/{app_id}/access_token", Form: alias.DefaultForm})
	}
	return all
}

// BenchmarkRespHit is BenchmarkSessionHit in RESP, by the name and by one of 200 aliases.
func BenchmarkRespHit(b *testing.B) {
	for name, key := range map[string]string{"name": token, "alias": "company:wechat:token:199:wx0123"} {
		for _, batch := range []int{1, 16} {
			b.Run(name+"/"+sizeName(batch), func(b *testing.B) {
				e, err := refresh.New(refresh.Config{Store: new(memstore.Store), Catalog: anyApp{}})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := e.Get(b.Context(), token); err != nil {
					b.Fatal(err)
				}
				s := sessionOf(New(Config{Engine: engineOf{Engine: e}, Limits: Limits{UserRate: unslowed}, Aliases: aliases200()}), access.Peer{UID: guest})
				in := []byte(strings.Repeat(cmd("GET "+key), batch))
				b.ReportAllocs()
				for b.Loop() {
					s.out = s.out[:0]
					if n, next := s.step(in); n != len(in) || next != more || s.out[1] != '5' {
						b.Fatal(n, next)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/request")
			})
		}
	}
}
