package footprint

import "testing"

func TestMappedTable(t *testing.T) {
	for line, want := range map[string][2]uintptr{
		"b713e000-b7142000 rw-s 00000000 fe:00 1234    /var/lib/tokend/store/000042.sst":    {0xb713e000, 0xb7142000},
		"b713e000-b7142000 rw-s 00000000 fe:00 1234    /var/lib/my tables/store/000042.sst": {0xb713e000, 0xb7142000},
		"b713e000-b7142000 rw-p 00000000 00:00 0":                                           {},
		"b713e000-b7142000 rw-s 00000000 fe:00 1234    /var/lib/tokend/store/00001.mem":     {},
		"b7142000-b713e000 rw-s 00000000 fe:00 1234    /var/lib/tokend/store/000042.sst":    {},
		"something rw-s 00000000 fe:00 1234    /var/lib/tokend/store/000042.sst":            {},
		"b713e000 rw-s 00000000 fe:00 1234    /var/lib/tokend/store/000042.sst (deleted)":   {},
		"00400000-0096b000 r-xp 00000000 fe:00 99 /usr/bin/tokend":                          {},
	} {
		from, to, ok := mappedTable(line)
		if ok != (want[1] != 0) || ok && (from != want[0] || to != want[1]) {
			t.Errorf("%s: got %x-%x, %v", line, from, to, ok)
		}
	}
}
