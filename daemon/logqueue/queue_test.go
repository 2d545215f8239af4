package logqueue

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// reader is the output of a queue. It can stall, fail and recover.
type reader struct {
	mu    sync.Mutex
	cond  *sync.Cond
	stall bool
	err   error
	short int // if not zero, a failing write accepts that many bytes
	text  strings.Builder
}

func newReader() *reader {
	r := &reader{}
	r.cond = sync.NewCond(&r.mu)
	return r
}

func (r *reader) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.stall {
		r.cond.Wait()
	}
	if r.err != nil {
		n := min(r.short, len(p))
		r.text.Write(p[:n])
		return n, r.err
	}
	return r.text.Write(p)
}

func (r *reader) set(stall bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stall, r.err = stall, err
	r.cond.Broadcast()
}

func (r *reader) lines() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Fields(r.text.String())
}

func lost(n int64) []byte { return fmt.Appendf(nil, "lost=%d\n", n) }

func say(w io.Writer, from, to int) {
	for i := from; i < to; i++ {
		_, _ = fmt.Fprintf(w, "%d\n", i)
	}
}

// count returns the text of the lines from to to-1.
func count(from, to int) []string {
	var all []string
	for i := from; i < to; i++ {
		all = append(all, strconv.Itoa(i))
	}
	return all
}

// inBubble runs f in virtual time with a queue of ten lines.
func inBubble(t *testing.T, f func(q *Queue, r *reader)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newReader()
		q := New(Config{Out: r, Lost: lost, maxLines: 10})
		f(q, r)
		r.set(false, nil)
		if !q.Close(time.Second) {
			t.Error("the queue does not end")
		}
	})
}

func wantLines(t *testing.T, r *reader, want ...string) {
	t.Helper()
	if got := r.lines(); !slices.Equal(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

func TestOrder(t *testing.T) {
	inBubble(t, func(q *Queue, r *reader) {
		for i := range 100 {
			say(q, i, i+1)
			synctest.Wait()
		}
		wantLines(t, r, count(0, 100)...)
		if n := q.Dropped(); n != 0 {
			t.Errorf("%d lines dropped", n)
		}
	})
}

func TestStalledReader(t *testing.T) {
	inBubble(t, func(q *Queue, r *reader) {
		r.set(true, nil)
		say(q, 0, 1)
		synctest.Wait() // 0 is being written
		began := time.Now()
		say(q, 1, 100)
		if took := time.Since(began); took != 0 {
			t.Errorf("Write blocked for %v", took)
		}
		if n := q.Dropped(); n != 89 {
			t.Errorf("%d lines dropped, want 89", n)
		}
		r.set(false, nil)
		synctest.Wait()
		wantLines(t, r, append(count(0, 11), "lost=89")...)
		say(q, 100, 101)
		synctest.Wait()
		wantLines(t, r, append(count(0, 11), "lost=89", "100")...)
	})
}

// TestFewGaps: a reader that is always too slow sees gaps of half a queue, not one after each line.
func TestFewGaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReader()
		q := New(Config{Out: slow{r}, Lost: lost, maxLines: 10})
		for i := range 200 {
			say(q, i, i+1)
			time.Sleep(time.Second)
		}
		q.Close(time.Hour)
		gaps := 0
		missing := int64(0)
		for _, l := range r.lines() {
			if n, ok := strings.CutPrefix(l, "lost="); ok {
				gaps++
				one, _ := strconv.ParseInt(n, 10, 64)
				missing += one
			}
		}
		if gaps == 0 || gaps > 25 || missing != q.Dropped() {
			t.Errorf("%d gaps report %d missing lines, want %d", gaps, missing, q.Dropped())
		}
	})
}

type slow struct{ io.Writer }

func (s slow) Write(p []byte) (int, error) {
	time.Sleep(2 * time.Second)
	return s.Writer.Write(p)
}

func TestBoundInBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReader()
		r.set(true, nil)
		q := New(Config{Out: r, Lost: lost, maxBytes: 100})
		line := strings.Repeat("x", 39) + "\n"
		_, _ = io.WriteString(q, line)
		synctest.Wait()
		for range 5 {
			_, _ = io.WriteString(q, line)
		}
		if n := q.Dropped(); n != 3 {
			t.Errorf("%d lines dropped, want 3", n)
		}
		r.set(false, nil)
		synctest.Wait()
		_, _ = io.WriteString(q, strings.Repeat("x", 101)) // longer than the whole queue
		synctest.Wait()
		if got := r.lines(); len(got) != 5 || got[3] != "lost=3" || got[4] != "lost=1" {
			t.Errorf("got %q", got)
		}
		if q.lines != nil || q.bytes != 0 {
			t.Errorf("an idle queue holds %d lines and %d bytes", cap(q.lines), q.bytes)
		}
		q.Close(time.Second)
	})
}

func TestAuditDroppedLast(t *testing.T) {
	inBubble(t, func(q *Queue, r *reader) {
		audit := q.Audit()
		r.set(true, nil)
		say(q, 0, 1)
		synctest.Wait()
		say(q, 1, 8)
		say(audit, 100, 102)
		say(q, 8, 20)
		say(audit, 102, 104) // in place of 8 and 7
		if n := q.Dropped(); n != 13 {
			t.Errorf("%d lines dropped, want 13", n)
		}
		r.set(false, nil)
		synctest.Wait()
		wantLines(t, r, "0", "1", "2", "3", "4", "5", "6", "lost=1", "100", "101", "lost=12", "102", "103")
	})
	t.Run("only audit lines", func(t *testing.T) {
		inBubble(t, func(q *Queue, r *reader) {
			r.set(true, nil)
			say(q, 0, 1)
			synctest.Wait()
			say(q, 1, 5)
			say(q.Audit(), 100, 120)
			if n := q.Dropped(); n != 14 {
				t.Errorf("%d lines dropped, want 14", n)
			}
			r.set(false, nil)
			synctest.Wait()
			wantLines(t, r, append(append([]string{"0", "lost=4"}, count(100, 110)...), "lost=10")...)
		})
	})
}

func TestReaderGone(t *testing.T) {
	inBubble(t, func(q *Queue, r *reader) {
		say(q, 0, 1)
		synctest.Wait()
		r.set(false, errors.New("broken pipe"))
		for i := 1; i < 30; i++ {
			say(q, i, i+1)
			synctest.Wait()
		}
		if n := q.Dropped(); n != 29 {
			t.Errorf("%d lines dropped, want 29", n)
		}
		r.set(false, nil)
		say(q, 30, 31)
		synctest.Wait()
		wantLines(t, r, "0", "lost=29", "30")
	})
}

// TestTornLine: after a partial write, as on a full disk, the next line starts on a new line.
func TestTornLine(t *testing.T) {
	inBubble(t, func(q *Queue, r *reader) {
		r.short = 2
		r.set(false, errors.New("no space left on device"))
		say(q, 1000, 1001)
		synctest.Wait()
		r.set(false, nil)
		say(q, 1001, 1002)
		synctest.Wait()
		wantLines(t, r, "10", "lost=1", "1001")
	})
}

func TestFlush(t *testing.T) {
	inBubble(t, func(q *Queue, r *reader) {
		if !q.Flush(0) {
			t.Error("Flush blocks on an empty queue")
		}
		say(q, 0, 5)
		if !q.Flush(time.Second) {
			t.Error("Flush does not end")
		}
		wantLines(t, r, count(0, 5)...)
		r.set(true, nil)
		began := time.Now()
		_, _ = io.WriteString(q.Flusher(time.Second), "5\n")
		if took := time.Since(began); took != time.Second {
			t.Errorf("Flusher blocked for %v, want 1s", took)
		}
		r.set(false, nil)
		_, _ = io.WriteString(q.Flusher(time.Second), "6\n")
		wantLines(t, r, count(0, 7)...)
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReader()
		q := New(Config{Out: r, Lost: lost})
		r.set(true, nil)
		say(q, 0, 3)
		began := time.Now()
		if q.Close(time.Second) {
			t.Error("closed with unwritten lines")
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("took %v, want 1s", took)
		}
		say(q, 3, 4)
		r.set(false, nil)
		if !q.Close(time.Second) {
			t.Error("not closed after the reader recovered")
		}
		wantLines(t, r, "0", "1", "2", "lost=1")
	})
}

// TestLinesReadOrCounted checks random sequences of lines and stalls. Lines are read in
// order, and gaps and Dropped account for the missing ones.
func TestLinesReadOrCounted(t *testing.T) {
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			r := newReader()
			q := New(Config{Out: r, Lost: lost, maxLines: 1 + random.IntN(10), maxBytes: 5 + random.IntN(40)})
			audit := q.Audit()
			n := 100 + random.IntN(200)
			for i := range n {
				switch random.IntN(6) {
				case 0:
					r.set(true, nil)
				case 1:
					r.set(false, nil)
					synctest.Wait()
				case 2:
					r.set(false, errors.New("broken pipe"))
					synctest.Wait()
				}
				w := io.Writer(q)
				if random.IntN(3) == 0 {
					w = audit
				}
				say(w, i, i+1)
			}
			r.set(false, nil)
			q.Flush(time.Second)
			_, _ = io.WriteString(q, "\n") // retries an output that failed
			q.Close(time.Second)
			next := int64(0)
			for _, l := range r.lines() {
				if gap, ok := strings.CutPrefix(l, "lost="); ok {
					k, _ := strconv.ParseInt(gap, 10, 64)
					next += k
				} else if got, _ := strconv.ParseInt(l, 10, 64); got != next {
					t.Fatalf("seed %d: got line %d, want %d\n%q", seed, got, next, r.lines())
				} else {
					next++
				}
			}
			if next != int64(n) || q.Dropped() > int64(n) {
				t.Errorf("seed %d: %d lines accounted for, %d dropped, want %d in total", seed, next, q.Dropped(), n)
			}
		})
	}
}
