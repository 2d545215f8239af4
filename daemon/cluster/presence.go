package cluster

import (
	"encoding/json"
	"fmt"

	"tokend/daemon/cluster/seal"
)

// Presence is what a host states about itself for as long as its session lasts. It is stored as
// JSON, sealed. An older tokend ignores fields that it does not know.
type Presence struct {
	Machine string `json:"machine"` // the machine's ID
	Boot    string `json:"boot"`    // of the machine
	PID     int    `json:"pid"`
	Version string `json:"version"` // of tokend
	Formats int    `json:"formats"` // the newest format of records that the host reads
}

// presenceKey is the key of a host's presence.
func presenceKey(prefix, host string) string { return prefix + "/m/" + host }

// sealPresence returns what is stored for p.
func sealPresence(s *seal.Sealer, key, host string, p Presence) ([]byte, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	return s.Seal(key, host, b), nil
}

// OpenPresence returns what a presence key states, and whose it is.
func OpenPresence(s *seal.Sealer, kv KeyValue) (host string, p Presence, err error) {
	host, b, err := s.Open(kv.Key, kv.Value)
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil {
		return "", Presence{}, fmt.Errorf("presence: %w", err)
	}
	return host, p, nil
}
