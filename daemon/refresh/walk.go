package refresh

import (
	"hash/maphash"
	"sync"

	"tokend/fetchers"
)

// walk is an import of all pages of a list, one after another: which customers they had. A
// list that shifts while it is read shows some twice and others not at all.
type walk struct {
	from     int // the offset of the first page
	at, next int // the offsets of the last page and of the next one
	seen     map[uint64]struct{}
	idle     int // how many of the last pages had nobody new
}

// walks are those that have not come to their end, by owner. Its zero value is ready.
type walks struct {
	mu   sync.Mutex
	of   map[string]*walk
	seed maphash.Seed
}

// note takes note of a page at offset of owner's list, and returns how many customers were seen and
// how many are missing if this was the last page; else next is the offset of the next one. Pages
// that have nobody new come to an end, whatever total the list states.
func (ws *walks) note(owner string, offset int, page fetchers.AuthorizerPage) (next, seen, missing int) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.of == nil {
		ws.of, ws.seed = map[string]*walk{}, maphash.MakeSeed()
	}
	w := ws.of[owner]
	if w == nil || offset != w.next && offset != w.at {
		w = &walk{from: offset, seen: map[uint64]struct{}{}}
		ws.of[owner] = w
	}
	w.at, w.next = offset, offset+page.Len()
	had := len(w.seen)
	for _, a := range page.Authorizers {
		w.seen[maphash.String(ws.seed, a.AppID)] = struct{}{}
	}
	if w.idle++; len(w.seen) > had || len(page.Skipped) > 0 {
		w.idle = 0
	}
	if page.Len() > 0 && w.next < page.Total && w.idle < idlePages {
		return w.next, len(w.seen), 0
	}
	delete(ws.of, owner)
	return 0, len(w.seen), max(page.Total-w.from-len(w.seen), 0)
}
