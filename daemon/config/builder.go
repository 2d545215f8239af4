package config

import (
	"bytes"

	"github.com/pelletier/go-toml/v2/unstable"
)

// builder makes the nodes of a file. It accepts every valid file, and some others.
type builder struct {
	data []byte
	pace *pace

	root, table *node
	spare       []node
	at, line    int  // an offset in data, and its line
	plain       bool // the file is valid: it uses only the simple constructs of TOML
}

// nodes is the number of nodes that are allocated together.
const nodes = 128

// build returns the top-level table. The error is one of syntax. A file without such an error is
// valid if it is plain. Otherwise a key may be defined twice, or a scalar may be out of range.
func (b *builder) build() (*node, error) {
	b.root = &node{kind: unstable.Table}
	b.table, b.line, b.plain = b.root, 1, true
	var p unstable.Parser
	p.Reset(b.data)
	for p.NextExpression() {
		switch e := p.Expression(); e.Kind {
		case unstable.Table, unstable.ArrayTable:
			b.header(e)
		case unstable.KeyValue:
			b.keyValue(b.table, e)
		}
		b.pace.step()
	}
	return b.root, p.Error()
}

// header begins the table of a header.
func (b *builder) header(e *unstable.Node) {
	t := b.root
	for k := e.Key(); k.Next(); {
		last := k.IsLast()
		element := last && e.Kind == unstable.ArrayTable
		c := t.value(string(k.Node().Data))
		switch {
		case c == nil:
			c = b.put(t, k.Node())
			c.header = true
			if element {
				c.kind = unstable.Array
			}
			b.plain = b.plain && last // a later header may define a table that this one implies
		case element:
			b.plain = b.plain && c.header && c.kind == unstable.Array
		default:
			b.plain = b.plain && c.header && !last
		}
		if element {
			c.add(b.node(unstable.Table, b.lineAt(k.Node())))
			c.last.header = true
		}
		if c.kind == unstable.Array && c.last != nil {
			c = c.last // keys below an array of tables belong to its last table
		}
		t = c
	}
	b.table = t
}

// keyValue adds a key and its value to t.
func (b *builder) keyValue(t *node, e *unstable.Node) {
	for k := e.Key(); k.Next(); {
		c := t.value(string(k.Node().Data))
		b.plain = b.plain && c == nil && k.IsLast()
		if c == nil {
			c = b.put(t, k.Node())
		}
		t = c
	}
	b.fill(t, e.Value())
}

// fill makes n the value v.
func (b *builder) fill(n *node, v *unstable.Node) {
	n.kind, n.text = v.Kind, v.Data
	switch v.Kind {
	case unstable.InlineTable:
		n.kind = unstable.Table
		for c := v.Children(); c.Next(); {
			b.keyValue(n, c.Node())
		}
	case unstable.Array:
		for c := v.Children(); c.Next(); {
			line := n.line
			if c.Node().Raw.Length > 0 {
				line = b.lineAt(c.Node())
			}
			n.add(b.node(unstable.Invalid, line))
			b.fill(n.last, c.Node())
		}
	case unstable.String, unstable.Bool:
	case unstable.Integer:
		b.plain = b.plain && plainInteger(v.Data)
	default:
		b.plain = false
	}
}

// plainInteger reports whether digits is a decimal number that fits into an int64 whatever the
// digits are.
func plainInteger(digits []byte) bool {
	if digits[0] == '0' && len(digits) > 1 || len(digits) > 18 {
		return false
	}
	return !bytes.ContainsFunc(digits, func(c rune) bool { return c < '0' || c > '9' })
}

// put adds an empty table with a key to t.
func (b *builder) put(t *node, key *unstable.Node) *node {
	n := b.node(unstable.Table, b.lineAt(key))
	n.key = key.Data
	t.add(n)
	return n
}

// node returns a new node.
func (b *builder) node(kind unstable.Kind, line int) *node {
	if len(b.spare) == 0 {
		b.spare = make([]node, nodes)
	}
	n := &b.spare[0]
	b.spare = b.spare[1:]
	n.kind, n.line = kind, line
	return n
}

// lineAt returns the line of n. It is quick for nodes in the order of the file.
func (b *builder) lineAt(n *unstable.Node) int {
	at := int(n.Raw.Offset)
	if at >= b.at {
		b.line += bytes.Count(b.data[b.at:at], []byte{'\n'})
	} else {
		b.line -= bytes.Count(b.data[at:b.at], []byte{'\n'})
	}
	b.at = at
	return b.line
}
