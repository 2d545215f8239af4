package protocol_test

import (
	"fmt"
	"time"

	"tokend/protocol"
)

// A server cuts a line off its buffer, parses the request and appends the reply.
func ExampleRequest_Parse() {
	arrived := []byte("get work/ww0123/1000002/access_token\r\nGET oops\nPI")
	var out []byte
	var req protocol.Request
	for {
		line, rest, err := protocol.CutLine(arrived)
		if err != nil {
			break // protocol.ErrIncomplete: read more
		}
		arrived = rest
		if err := req.Parse(line); err != nil {
			out = protocol.AppendError(out, err.(*protocol.Error))
			continue
		}
		out = protocol.AppendValue(out, 1799*time.Second+time.Second/2, "tok-01")
	}
	fmt.Printf("%sleft: %q\n", out, arrived)
	// Output:
	// OK 1799 tok-01
	// ERR BAD_REQUEST - GET: a name is family/owner[/child]/credential: 3 to 5 segments, this one has 1
	// left: "PI"
}

// A client writes a request and parses the reply.
func ExampleParseReply() {
	line, err := protocol.AppendRequest(nil, protocol.VerbGet, "work/ww0123/1000002/access_token")
	fmt.Printf("%q %v\n", line, err)

	fields, err := protocol.ParseReply("OK 1799 tok-01")
	if err != nil {
		return
	}
	ttl, value, err := protocol.ParseValue(fields)
	fmt.Println(ttl, value, err)

	_, err = protocol.ParseReply("ERR LIMITED 30 forced refreshes are 30 s apart")
	fmt.Println(err)
	// Output:
	// "GET work/ww0123/1000002/access_token\n" <nil>
	// 29m59s tok-01 <nil>
	// LIMITED: forced refreshes are 30 s apart (try again in 30s)
}
