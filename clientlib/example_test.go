package clientlib_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"tokend/clientlib"
)

// daemon stands in for tokend in the examples, so that they show what they print: one
// request, one reply.
func daemon(dialogue map[string]string) func(context.Context) (net.Conn, error) {
	return func(context.Context) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			r := bufio.NewReader(server)
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if _, err := io.WriteString(server, dialogue[strings.TrimSpace(line)]); err != nil {
					return
				}
			}
		}()
		return client, nil
	}
}

// The zero Client asks the tokend of this host.
func ExampleClient() {
	var tokens clientlib.Client
	defer tokens.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	token, err := tokens.Get(ctx, "work/ww0123/1000002/access_token")
	if errors.Is(err, clientlib.ErrNoDaemon) {
		// tokend is not running: say so to whoever runs this host.
		return
	}
	if err != nil {
		return
	}
	_ = string(token.Value) // into the request to WeCom, and nowhere else
}

// Get a token, use it, and hand it back where WeChat refuses it.
func ExampleClient_Reject() {
	tokens := clientlib.Client{DialContext: daemon(map[string]string{
		"GET official_account/wx0123/access_token":           "OK 7200 tok-01\n",
		"REJECT official_account/wx0123/access_token tok-01": "OK 7200 tok-02\n",
	})}
	defer tokens.Close()
	ctx, name := context.Background(), "official_account/wx0123/access_token"

	token, err := tokens.Get(ctx, name)
	if err != nil {
		fmt.Println(err)
		return
	}
	errcode := 40001 // what WeChat answered to the call made with token
	if errcode == 40001 || errcode == 40014 || errcode == 42001 {
		token, err = tokens.Reject(ctx, name, token.Value)
	}
	fmt.Println(token.TTL, string(token.Value), err)
	fmt.Println(token) // does not show it
	// Output:
	// 2h0m0s tok-02 <nil>
	// {REDACTED 2h0m0s}
}

// An Error says whether, and when, asking again may help.
func ExampleError() {
	tokens := clientlib.Client{DialContext: daemon(map[string]string{
		"REFRESH mini_program/wx4567/access_token": "ERR LIMITED 30 forced refreshes of a stable_token are 30 s apart\n",
	})}
	defer tokens.Close()

	_, err := tokens.Refresh(context.Background(), "mini_program/wx4567/access_token")
	fmt.Println(errors.Is(err, clientlib.ErrLimited))
	if refusal, ok := errors.AsType[*clientlib.Error](err); ok && refusal.RetryAfter != clientlib.Never {
		fmt.Println("again in", refusal.RetryAfter)
	}
	// Output:
	// true
	// again in 30s
}

// Watch for changes, and begin again where the watch breaks.
func ExampleClient_Watch() {
	tokens := clientlib.Client{DialContext: daemon(map[string]string{
		"WATCH work/": "OK 1\nwork/ww0123/1000002/access_token fresh 7200\n" +
			"CHANGED work/ww0123/1000002/access_token stale 600\n",
	})}
	defer tokens.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	w, err := tokens.Watch(ctx, "work/")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Close()
	for _, l := range w.List() {
		fmt.Println(l.Name, l.State, l.TTL)
	}
	for {
		l, err := w.Next(ctx)
		if err != nil {
			fmt.Println(err) // unless ctx is done: close w, Watch again, begin with its List
			return
		}
		fmt.Println(l.Name, l.State, l.TTL)
		cancel()
	}
	// Output:
	// work/ww0123/1000002/access_token fresh 2h0m0s
	// work/ww0123/1000002/access_token stale 10m0s
	// WATCH work/: context canceled
}
