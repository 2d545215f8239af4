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
	// Conn is the connection to the server. The player closes it only when
	// something was not as the conversation says. It sets no deadlines:
	// whoever fears for a test that hangs sets them, or plays in a testing/synctest
	// bubble.
	Conn io.ReadWriteCloser

	// Do is called for each Advance, and for each Directive but [Closed],
	// once everything before it has been sent and what had to be received has
	// been. It has to make happen what the step says, and in a bubble to wait until
	// the server is at rest (synctest.Wait) before it does. It may be nil where the
	// conversation has no such steps.
	Do func(Step) error

	r *bufio.Reader
}

// Play plays steps and returns at the first thing that is not as they say. Lines
// that follow each other from the client are sent in one write: they are pipelined.
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

// exchange sends batch and receives replies. It does both at once, since on a
// connection without a buffer a server that answers the first of two requests
// before it has read the second would wait for us, and we for it.
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
			err = errors.New("the server says otherwise")
		}
		p.Conn.Close() // wakes the writer; its error is a consequence of this one
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
		return fmt.Errorf("nobody to do this: %q", step.Text)
	}
	return p.Do(step)
}
