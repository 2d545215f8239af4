package conversation

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Player plays the client's side of conversations against a server.
type Player struct {
	// Conn is the connection to the server. The player closes it only when the server deviates from
	// the conversation. The player sets no deadlines: the caller sets them, or plays in a
	// testing/synctest bubble.
	Conn io.ReadWriteCloser

	// Do is called for each Advance and for each Directive but [Closed], after all earlier lines
	// have been sent and received. It performs the step. In a bubble it first waits until the
	// server is idle (synctest.Wait). It may be nil if the conversation has no such steps.
	Do func(Step) error

	r *bufio.Reader
}

// Play plays steps and returns at the first deviation. Consecutive lines of the client are sent in
// one write, as a pipeline.
func (p *Player) Play(steps []Step) error {
	p.r = bufio.NewReader(p.Conn)
	for len(steps) > 0 {
		n := 0
		var batch strings.Builder
		for n < len(steps) && steps[n].Kind == Send {
			batch.WriteString(steps[n].Text)
			batch.WriteByte('\n')
			n++
		}
		replies := n
		for replies < len(steps) && steps[replies].Kind == Receive {
			replies++
		}
		if err := p.exchange(batch.String(), steps[n:replies]); err != nil {
			return err
		}
		if steps = steps[replies:]; len(steps) == 0 || steps[0].Kind == Send {
			continue
		}
		if err := p.happen(steps[0]); err != nil {
			return fmt.Errorf("line %d: %w", steps[0].Line, err)
		}
		steps = steps[1:]
	}
	return nil
}

// exchange sends batch and receives replies at the same time. On an unbuffered connection a server
// that replies before it has read the whole batch would otherwise block forever.
func (p *Player) exchange(batch string, replies []Step) error {
	sent := make(chan error, 1)
	go func() {
		var err error
		if batch != "" {
			_, err = io.WriteString(p.Conn, batch)
		}
		sent <- err
	}()
	for _, step := range replies {
		line, err := p.r.ReadString('\n')
		got := strings.TrimSuffix(line, "\n")
		if err == nil && Match(step.Text, got) {
			continue
		}
		if err == nil {
			err = errors.New("unexpected reply")
		}
		p.Conn.Close() // wakes the writer, whose error is a consequence of this one
		<-sent
		return fmt.Errorf("line %d: %w\n got: %q\nwant: %q", step.Line, err, got, step.Text)
	}
	return <-sent
}

func (p *Player) happen(step Step) error {
	if step.Kind == Directive && step.Text == Closed {
		switch line, err := p.r.ReadString('\n'); {
		case err == nil:
			return fmt.Errorf("want the connection closed, got %q", line)
		case line != "":
			return fmt.Errorf("closed in the middle of a line: %q", line)
		case !errors.Is(err, io.EOF):
			return err
		}
		return nil
	}
	if p.Do == nil {
		return fmt.Errorf("no Do for the step %q", step.Text)
	}
	return p.Do(step)
}
