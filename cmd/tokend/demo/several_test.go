package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// output is the output of a demonstration. It calls seen with each line.
type output struct {
	bytes.Buffer
	seen func(line string)
}

func (o *output) Write(p []byte) (int, error) {
	if o.seen != nil {
		o.seen(string(p))
	}
	return o.Buffer.Write(p)
}

// directory returns the directory in the output of a demonstration.
func (o *output) directory() string {
	return regexp.MustCompile(`\S*tokend-demo-\d+`).FindString(o.String())
}

// running returns the stacks of the goroutines of tokend, except those of tests.
func running() string {
	b := make([]byte, 1<<20)
	var left []string
	for stack := range strings.SplitSeq(string(b[:runtime.Stack(b, true)]), "\n\n") {
		if strings.Contains(stack, "tokend/") && !strings.Contains(stack, "testing.tRunner") {
			left = append(left, stack)
		}
	}
	return strings.Join(left, "\n\n")
}

// TestHosts runs the demonstration of several hosts to the end. While that one waits for a session
// to end, others are interrupted in each step or have faults. Nothing is left behind.
func TestHosts(t *testing.T) {
	var demos sync.WaitGroup
	third := make(chan struct{}) // the first two steps have little time to spare
	var once sync.Once
	demos.Go(func() {
		defer once.Do(func() { close(third) })
		var out output
		out.seen = func(line string) {
			if strings.HasPrefix(line, "\n3. ") {
				once.Do(func() { close(third) })
			}
		}
		err := Run(t.Context(), Config{Hosts: 3, Chinese: true, Out: &out})
		if text := out.String(); err != nil || !strings.Contains(text, "丢失的授权：0 个") || !strings.Contains(text, "项检查全部通过") || strings.Contains(text, "%!") {
			t.Errorf("%v\n%s", err, text)
		}
		removed(t, &out)
	})
	<-third
	for step, after := range map[int]time.Duration{1: answerTime / 2, 2: answerTime / 2, 3: 0, 4: time.Second, 5: 0} {
		demos.Go(func() { interrupt(t, step, after) })
	}
	t.Run("faults", noticed)
	demos.Wait()
	left := running()
	for end := time.Now().Add(soon); left != "" && time.Now().Before(end); left = running() {
		time.Sleep(10 * time.Millisecond) // a goroutine may be about to end
	}
	if left != "" {
		t.Errorf("still running:\n%s", left)
	}
}

// interrupt interrupts a demonstration some time after the beginning of a step.
func interrupt(t *testing.T, step int, after time.Duration) {
	interrupted := errors.New("interrupt signal received")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	var out output
	out.seen = func(line string) {
		if strings.HasPrefix(line, fmt.Sprintf("\n%d. ", step)) {
			time.AfterFunc(after, func() { cancel(interrupted) })
		}
	}
	err := Run(ctx, Config{Hosts: 2, Out: &out})
	_, rest, begun := strings.Cut(out.String(), fmt.Sprintf("\n%d. ", step))
	if !errors.Is(err, interrupted) || !begun || strings.Contains(rest, "   NO ") || strings.Contains(rest, "log:") || strings.Contains(rest, "checks passed") {
		t.Errorf("step %d: got %v, want %v\n%s", step, err, interrupted, out.String())
	}
	removed(t, &out)
}

// removed checks that a demonstration has removed its files.
func removed(t *testing.T, out *output) {
	t.Helper()
	dir := out.directory()
	if dir == "" {
		t.Errorf("no directory in\n%s", out.String())
	} else if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s: %v, want it to be removed", dir, err)
	}
}

// rehearse starts a demonstration of two hosts, which ends with the test, and runs the first step.
func rehearse(t *testing.T) *several {
	t.Helper()
	dir, err := tempDir()
	if err != nil {
		t.Fatal(err)
	}
	d := newSeveral(&stage{printer: printer{w: io.Discard}, began: time.Now(), dir: dir}, 2)
	t.Cleanup(func() {
		d.leave()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	for _, step := range []func(context.Context) error{d.open, d.readEverywhere} {
		if err := step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	d.failed = 0 // on a busy machine, a host may call for a repeating value after a second
	return d
}

// noticed holds that the demonstration of several hosts detects faults.
func noticed(t *testing.T) {
	t.Run("lost grant", func(t *testing.T) {
		d := rehearse(t)
		if n := d.lost(); n != 0 {
			t.Fatalf("at first: got %d, want 0", n)
		}
		d.wechat.Unauthorize(platformID, lostCustomer)
		d.wechat.Authorize(platformID, lostCustomer)
		if n := d.lost(); n != 1 {
			t.Errorf("after a new authorization that no host knows: got %d, want 1", n)
		}
	})
	t.Run("host without etcd", func(t *testing.T) {
		d := rehearse(t)
		d.hosts[1].client.Cut()
		if err := d.rejectEverywhere(t.Context()); err == nil && d.failed == 0 {
			t.Error("the step succeeded")
		}
	})
	t.Run("dead value", func(t *testing.T) {
		d := rehearse(t)
		d.wechat.KillAll(lostAccount)
		h := d.hosts[0]
		h.clients.begin(func(ctx context.Context) error { return d.readSteadily(ctx, h) })
		dead := eventually(t.Context(), func() bool {
			d.seen.mu.Lock()
			defer d.seen.mu.Unlock()
			return d.seen.dead > 0 && d.seen.longest > onItsWay
		})
		h.clients.end()
		if !dead || d.newest("no value of WeChat's") {
			t.Errorf("got %d dead values, at most %v without a valid one", d.seen.dead, d.seen.longest)
		}
	})
}
