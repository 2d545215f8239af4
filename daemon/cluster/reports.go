package cluster

import (
	"sync"

	"github.com/hashicorp/go-hclog"
)

// maxReports bounds the memory of [reports].
const maxReports = 1000

// reports log what etcd has and no host should have written, once for each key. Such a value is
// never applied.
type reports struct {
	log hclog.Logger

	mu   sync.Mutex
	keys map[string]bool
}

func newReports(log hclog.Logger) *reports {
	return &reports{log: log, keys: make(map[string]bool)}
}

// report logs a value that is ignored, and why.
func (r *reports) report(key string, err error) {
	r.mu.Lock()
	news := !r.keys[key] && len(r.keys) < maxReports
	if news {
		r.keys[key] = true
	}
	r.mu.Unlock()
	if news {
		r.log.Error("a value in etcd is ignored", "key", key, "error", err)
	}
}

// forget makes a key reportable again: it has a good value now.
func (r *reports) forget(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.keys, key)
}
