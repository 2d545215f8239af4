package config

import (
	"bytes"
	"errors"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// parse reads a TOML file and returns its top-level table. The problem is the first syntax error.
func parse(data []byte, p *pace) (*node, *Problem) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // some editors write a byte order mark
	b := builder{data: data, pace: p}
	root, err := b.build()
	if err == nil && b.plain {
		return root, nil
	}
	// The decoder makes no pauses, so it only judges a file that the builder cannot judge.
	var ignored map[string]any
	if e := toml.Unmarshal(data, &ignored); e != nil {
		err = e
	}
	if err == nil {
		return root, nil
	}
	problem := Problem{Message: "not TOML"}
	if de, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, column := de.Position()
		problem = mistake(data, line, column, de.Error())
	}
	return nil, &problem
}

// withoutQuotes removes quotations of the file from a parser's message. They may be a secret
// without its quotation marks.
func withoutQuotes(msg string) string {
	var b strings.Builder
	for {
		i := strings.IndexAny(msg, "\"'`")
		if i < 0 {
			return b.String() + msg
		}
		j := strings.LastIndexByte(msg[i+1:], msg[i])
		if j < 0 {
			return strings.TrimRight(b.String()+msg[:i], " :")
		}
		b.WriteString(msg[:i] + "...")
		msg = msg[i+1+j+1:]
	}
}
