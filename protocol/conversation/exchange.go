package conversation

import (
	"fmt"

	"tokend/protocol"
)

// Exchange is a request and its complete reply.
type Exchange struct {
	Line    int // of the request, in the file
	Request string
	Reply   []string
}

// Exchanges pairs every request with its reply, also when requests are pipelined. All lines after a
// WATCH are the reply to it. Exchanges is for tests that play the server.
func (c Conversation) Exchanges() ([]Exchange, error) {
	var all []Exchange
	var replies []string
	for _, step := range c.Steps {
		switch step.Kind {
		case Send:
			all = append(all, Exchange{Line: step.Line, Request: step.Text})
		case Receive:
			replies = append(replies, step.Text)
		}
	}
	for i := range all {
		n, err := replyLength(all[i].Request, replies)
		if err != nil || n > len(replies) {
			return nil, fmt.Errorf("%s: line %d: no reply to %q in %d lines: %v", c.Name, all[i].Line, all[i].Request, len(replies), err)
		}
		all[i].Reply, replies = replies[:n:n], replies[n:]
	}
	if len(replies) > 0 {
		return nil, fmt.Errorf("%s: reply without a request: %q", c.Name, replies[0])
	}
	return all, nil
}

// replyLength returns the number of lines that reply to request.
func replyLength(request string, lines []string) (int, error) {
	if len(lines) == 0 {
		return 1, nil
	}
	fields, err := protocol.ParseReply(lines[0])
	if err != nil {
		return 1, nil
	}
	var r protocol.Request
	if err := r.Parse([]byte(request)); err != nil {
		return 1, nil
	}
	switch r.Verb {
	case protocol.VerbList, protocol.VerbStatus, protocol.VerbHistory, protocol.VerbStats, protocol.VerbBackup:
		n, err := protocol.ParseCount(fields)
		return n + 1, err
	case protocol.VerbWatch:
		return len(lines), nil
	}
	return 1, nil
}
