package page

import (
	"cmp"
	"slices"

	"tokend/daemon/advice"
	"tokend/daemon/credential"
)

// trouble is one cause and the credentials that it concerns.
type trouble struct {
	*credential.Status          // of the first
	names              []string // the credentials that fail for the same cause
	also               []string // the credentials that are unavailable because of these
}

// troubles returns what is wrong with credentials, which are sorted by name: the most urgent first.
// A credential that is unavailable because of its parent is listed with the parent. Credentials
// that fail for the same cause are listed together.
func troubles(all []credential.Status) []trouble {
	bad := map[string]*credential.Status{}
	for i := range all {
		bad[all[i].Name] = &all[i]
	}
	type cause struct {
		topic   advice.Topic
		errcode int
		state   credential.State
		parent  string
	}
	var list []trouble
	index := map[cause]int{}
	member := map[string]int{} // of each root
	also := map[string][]string{}
	for i := range all {
		c := &all[i]
		root := c
		for root.Durable && (root.Derived || root.State == credential.Waiting) && bad[root.Parent] != nil {
			root = bad[root.Parent]
		}
		if root != c {
			also[root.Name] = append(also[root.Name], c.Name)
			continue
		}
		of := cause{topic: advice.Of(c), errcode: c.ErrCode, state: c.State}
		switch of.topic {
		case advice.Ticket, advice.Account:
			of.parent = c.Name // each has its own remedy
		case advice.Parent:
			of.parent = c.Parent
		}
		n, known := index[of]
		if !known {
			n = len(list)
			index[of] = n
			list = append(list, trouble{Status: c})
		}
		list[n].names = append(list[n].names, c.Name)
		member[c.Name] = n
	}
	for name, n := range member {
		list[n].also = append(list[n].also, also[name]...)
	}
	for i := range list {
		slices.Sort(list[i].also)
	}
	slices.SortStableFunc(list, func(a, b trouble) int { return cmp.Compare(rank(a.State), rank(b.State)) })
	return list
}
