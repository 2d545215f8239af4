package simulation

import (
	"fmt"
	"testing"
	"time"

	"tokend/daemon/credential"
	"tokend/daemon/record"
	"tokend/fetchers/secret"
)

// TestImport gives many grants at once: more operations, and more bytes, than etcd takes in one
// transaction. Every host gets all of them.
func TestImport(t *testing.T) {
	for name, size := range map[string]int{"operations": 20, "bytes": 30 << 10} {
		t.Run(name, func(t *testing.T) {
			play(t, 3, func(s *script) {
				var all []credential.Deposit
				for i := range 500 {
					value := fmt.Sprintf("%0*d", size, i)
					all = append(all, credential.Deposit{Name: fmt.Sprintf("%s/wximported%d/refresh_token", platform, i), Value: secret.Text(value)})
				}
				for i, err := range s.engine(s.hosts[0]).PutAll(s.ctx, all) {
					if err != nil {
						t.Fatalf("%s: %v", all[i].Name, err)
					}
				}
				time.Sleep(5 * time.Second)
				for _, h := range s.hosts {
					for _, d := range all {
						r, err := h.current().disk.Get(record.Grants, d.Name)
						if err != nil {
							t.Fatal(err)
						}
						if g, err := record.DecodeGrant(r); err != nil || g.Value != d.Value || g.Number != 1 || r.Revision == 0 {
							t.Fatalf("%s has number %d of %s, of revision %d, %v", h.name, g.Number, d.Name, r.Revision, err)
						}
					}
				}
			})
		})
	}
}
