package refresh

// changed is the names of the grants that have changed since it was made.
type changed struct {
	grants *grants
	names  map[string]struct{} // guarded by the mu of grants
}

// watch returns the grants that will have changed from now on, until end.
func (g *grants) watch() (c *changed, end func()) {
	c = &changed{g, map[string]struct{}{}}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.watches == nil {
		g.watches = map[*changed]struct{}{}
	}
	g.watches[c] = struct{}{}
	return c, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.watches, c)
	}
}

// has reports whether the grant called name is one of c's. A nil c has none.
func (c *changed) has(name string) bool {
	if c == nil {
		return false
	}
	c.grants.mu.Lock()
	defer c.grants.mu.Unlock()
	_, ok := c.names[name]
	return ok
}

func (g *grants) noteLocked(name string) {
	for c := range g.watches {
		c.names[name] = struct{}{}
	}
}
