package server

import "tokend/daemon/credential"

// aheadSize is how many values are looked up before they are handed out.
const aheadSize = 32

// ahead is values that have been looked up, all at once, for requests that are about to be
// answered; see [Engine].CachedAll. Without it a server of 10 000 credentials answers 6 to 11 % fewer
// requests with 16, 50 and 512 connections, and 20 % fewer where each of 50 asks 16 at once. Its
// zero value is none.
type ahead struct {
	n, next int               // how many there are, and which is asked for next
	names   [aheadSize][]byte // in the requests themselves
	values  [aheadSize]credential.Value
}

// take returns the value of name if it is that which is asked for next, and reports whether there
// is one to be handed out: the peer is granted it, and it has not come so near to its end that the
// clock has to be looked at.
func (a *ahead) take(name []byte) (v credential.Value, ok bool) {
	if a.next >= a.n || len(name) == 0 {
		return v, false
	}
	if next := a.names[a.next]; &next[0] != &name[0] || len(next) != len(name) { // not the very same bytes
		return v, false
	}
	v = a.values[a.next]
	a.next++
	return v, v.TTL >= nearEnd
}

// lookAhead adds to a the names of values that in asks for, as far as there is room. A name that is
// not granted is not looked up, and so takes the same time whether there is such a credential or
// not.
func (s *session) lookAhead(in []byte, a *ahead) {
	s.renewRights()
	if !s.chosen {
		s.chooseCodec(in)
	}
	for a.n < aheadSize {
		_, name, size, err := s.codec.cut(in)
		if err != nil {
			return
		}
		in = in[size:]
		if len(name) > 0 && s.mayGet(name) {
			a.names[a.n] = name
			a.n++
		}
	}
}
