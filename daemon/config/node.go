package config

import (
	"iter"
	"strconv"

	"github.com/pelletier/go-toml/v2/unstable"
)

// node is a value of a TOML file: a table, an array or a scalar. A nil node is an empty table.
//
// Nodes refer to the file's bytes. A map for each table and a string for each path would take three
// times the memory, and a reload would collect more garbage.
type node struct {
	kind   unstable.Kind // Table, Array, or the kind of a scalar
	header bool          // made by a header: [key] or [[key]]
	line   int           // where it first occurs
	key    []byte        // nil for an element of an array
	text   []byte        // of a string: its content; of another scalar: as in the file

	// The values of a table or array, and the next value of the same table or array.
	first, last, next *node
	n                 int
}

// value returns the value of a key, nil if there is none.
func (n *node) value(key string) *node {
	for c := range n.values() {
		if string(c.key) == key {
			return c
		}
	}
	return nil
}

// values yields the values of a table or array.
func (n *node) values() iter.Seq[*node] {
	return func(yield func(*node) bool) {
		if n == nil {
			return
		}
		for c := n.first; c != nil && yield(c); c = c.next {
		}
	}
}

// len returns the number of values.
func (n *node) len() int {
	if n == nil {
		return 0
	}
	return n.n
}

// integer returns the value of an integer.
func (n *node) integer() int64 {
	i, _ := strconv.ParseInt(string(n.text), 0, 64) // valid, see parse
	return i
}

// add adds c to the values of n.
func (n *node) add(c *node) {
	if n.first == nil {
		n.first = c
	} else {
		n.last.next = c
	}
	n.last = c
	n.n++
}
