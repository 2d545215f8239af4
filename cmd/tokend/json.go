package main

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

func jsonFlag(cmd *cobra.Command, asJSON *bool) {
	cmd.Flags().BoolVar(asJSON, "json", false, "print an array of objects with the keys of the protocol")
}

// object is a JSON object whose members keep their order. "-", which means none in the protocol,
// becomes null.
type object []member

type member struct {
	key   string
	value any // string, int64, bool, an object, a list or nil
}

// MarshalJSON implements json.Marshaler.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		if m.value == "-" {
			m.value = nil
		}
		for j, part := range []any{m.key, m.value} {
			if j > 0 {
				b.WriteByte(':')
			}
			text, err := json.Marshal(part)
			if err != nil {
				return nil, err
			}
			b.Write(text)
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// printJSON writes objects as one array, which is never null.
func printJSON(w io.Writer, objects []object) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(objects)
}

// number returns a decimal number as an int64 and any other text unchanged. It is for the keys of
// the protocol whose values are numbers or "-".
func number(s string) any {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n
	}
	return s
}

// seconds returns a remaining lifetime as a number, or nil for none.
func seconds(ttl time.Duration) any {
	if ttl <= 0 {
		return nil
	}
	return int64(ttl / time.Second)
}
