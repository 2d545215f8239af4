package refresh

import (
	"sync"
	"tokend/daemon/credential"
)

// dropped has the readers of entries that are out of service, by name. A customer's credential that
// lapses and is requested again continues its counters. The zero value is ready.
type dropped struct {
	mu     sync.Mutex
	byName map[string]*credential.Readers
}

// keep takes the readers of en, which goes out of service. A read of en that adds the first counter
// at the same time may not be counted.
func (d *dropped) keep(en *entry) {
	readers := new(credential.Readers)
	if !readers.Continue(&en.readers) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.byName == nil {
		d.byName = make(map[string]*credential.Readers)
	}
	d.byName[en.name] = readers
}

// restore gives en, which is new, the readers of its name. It is called with en.mu held, after en
// is known to be in service.
func (d *dropped) restore(en *entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if readers := d.byName[en.name]; readers != nil {
		en.readers.Continue(readers)
	}
}

// forget removes the readers of names that are unknown.
func (d *dropped) forget(unknown func(name string) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name := range d.byName {
		if unknown(name) {
			delete(d.byName, name)
		}
	}
}
