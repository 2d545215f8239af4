package conversation

import (
	"fmt"

	"tokend/protocol"
)

// Exchange is one request with everything that answers it.
type Exchange struct {
	Line    int // of the request, in its file
	Request string
	Reply   []string
}

// Exchanges puts every request beside its reply, whatever stands between them
// and however they are pipelined. Everything that follows a WATCH is its reply. It is for
// whoever plays the server's part.
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
			return nil, fmt.Errorf("%s: line %d: %d lines are no reply to %q: %v", c.Name, all[i].Line, len(replies), all[i].Request, err)
		}
		all[i].Reply, replies = replies[:n:n], replies[n:]
	}
	if len(replies) > 0 {
		return nil, fmt.Errorf("%s: nobody asked for %q", c.Name, replies[0])
	}
	return all, nil
}

// replyLength returns how many of lines are the reply to request.
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
