package main

import (
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// signaled is a command that records its signals.
type signaled []os.Signal

func (s *signaled) Signal(sig os.Signal) error {
	*s = append(*s, sig)
	return nil
}

// TestRelayOrder holds that a command is not left stopped by a SIGTSTP that may have been sent
// before a SIGCONT, and that it stays stopped otherwise.
func TestRelayOrder(t *testing.T) {
	const tstp, cont, term = unix.SIGTSTP, unix.SIGCONT, unix.SIGTERM
	for _, test := range []struct {
		name string
		sent []os.Signal
		gap  time.Duration
		want []os.Signal
	}{
		{"stop, then continue", []os.Signal{tstp, cont}, 0, []os.Signal{tstp, cont}},
		{"pending together", []os.Signal{term, cont, tstp}, 0, []os.Signal{term, cont, tstp, cont}},
		{"another between", []os.Signal{cont, term, tstp}, 0, []os.Signal{cont, term, tstp, cont}},
		{"late", []os.Signal{cont, tstp}, together - 1, []os.Signal{cont, tstp, cont}},
		{"continue, then stop", []os.Signal{cont, tstp}, together, []os.Signal{cont, tstp}},
		{"stop", []os.Signal{tstp}, 0, []os.Signal{tstp}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := relay{signals: make(chan os.Signal, len(test.sent))}
				var got signaled
				ended := make(chan struct{})
				var forwarding sync.WaitGroup
				forwarding.Go(func() { r.forward(&got, ended) })
				for _, sig := range test.sent {
					r.signals <- sig
					time.Sleep(test.gap)
				}
				synctest.Wait()
				close(ended)
				forwarding.Wait()
				if !slices.Equal(got, test.want) {
					t.Errorf("forwarded %v, want %v", got, test.want)
				}
			})
		})
	}
}
