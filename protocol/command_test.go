package protocol

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// commandOf returns the bytes of a command.
func commandOf(args ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b.String()
}

func TestCutCommand(t *testing.T) {
	longest := MaxLine - len(commandOf("ECHO", "")) - len("65499") + 1
	for in, want := range map[string][]string{
		commandOf("PING"):                                    {"PING"},
		commandOf("ECHO", "\x00\r\n*$"):                      {"ECHO", "\x00\r\n*$"},
		commandOf("GET", "") + "*1":                          {"GET", ""},
		commandOf("ECHO", strings.Repeat("x", longest)):      {"ECHO", strings.Repeat("x", longest)},
		"*0\r\n" + commandOf("PING"):                         {},
		"*-1\r\n":                                            {},
		commandOf(slices.Repeat([]string{"a"}, MaxArray)...): slices.Repeat([]string{"a"}, MaxArray),
	} {
		args, size, err := CutCommand([]byte(in), nil)
		var got []string
		for _, a := range args {
			got = append(got, string(a))
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%.60q: got %.60q, %v", in, got, err)
		}
		if rest := in[size:]; rest != "" && rest[0] != '*' {
			t.Errorf("%.60q: %d bytes", in, size)
		}
	}
}

func TestFramingErrors(t *testing.T) {
	const (
		array = "Protocol error: invalid multibulk length"
		bulk  = "Protocol error: invalid bulk length"
		big   = "Protocol error: too big"
	)
	for in, want := range map[string]string{
		"*1025\r\n":                 array,
		"*-2\r\n":                   array,
		"*\r\n":                     array,
		"*a\r\n":                    array,
		"*1\n$4\nPING\n":            array,
		"*01\r\n":                   array,
		"*+1\r\n":                   array,
		"*-\r\n":                    array,
		"*1\r$":                     array,
		"*99999999999999999999\r\n": array,
		"*111111111111111111111":    array,
		"*1\r\n$-1\r\n":             bulk,
		"*1\r\n$-65536\r\n":         bulk,
		"*1\r\n$\r\n":               bulk,
		"*1\r\n$4\n":                bulk,
		"*1\r\n$04\r\n":             bulk,
		"*1\r\n$x\r\n":              bulk,
		"*1\r\n$4\r\nPINGS\r\n":     bulk,
		"*1\r\n$4\r\nPING\rx":       bulk,
		"*1\r\n$65536\r\n":          big,
		"*1\r\n$65523\r\n":          big,
		"*1\r\n$9999999999\r\n":     big,
		"*2\r\n$40000\r\n" + strings.Repeat("x", 40000) + "\r\n$30000\r\n": big,
		"*1\r\n:4\r\n": "Protocol error: expected '$', got ':'",
		"*1\r\n*1\r\n": "Protocol error: expected '$', got '*'",
		"PING\r\n":     "Protocol error: expected '*', got 'P'",
		"\n":           "Protocol error: expected '*', got ' '",
		"\x00":         "Protocol error: expected '*', got '?'",
	} {
		for _, end := range []string{"", "*1\r\n$4\r\nPING\r\n"} {
			_, _, err := CutCommand([]byte(in+end), nil)
			if _, framing := err.(FramingError); !framing || err.Error() != want {
				t.Errorf("%.40q: got %v, want %s", in, err, want)
			}
		}
	}
	for _, in := range []string{"", "*", "*1", "*1\r", "*1\r\n", "*1\r\n$", "*1\r\n$4\r", "*1\r\n$4\r\nPING", "*1\r\n$4\r\nPING\r", "*1\r\n$65522\r\n", "*-"} {
		if _, _, err := CutCommand([]byte(in), nil); err != ErrIncomplete {
			t.Errorf("%q: got %v", in, err)
		}
	}
	// A command of which each part is short enough.
	in := []byte(commandOf(slices.Repeat([]string{strings.Repeat("x", 70)}, MaxArray)...))
	if _, _, err := CutCommand(in[:MaxLine], nil); err != errCommandSize {
		t.Errorf("a long command: got %v", err)
	}
}

func TestCutGet(t *testing.T) {
	for in, want := range map[string]string{
		commandOf("GET", "a/b/c"):                  "a/b/c",
		commandOf("gEt", "k") + "*1":               "k",
		commandOf("GET", strings.Repeat("k", 999)): strings.Repeat("k", 999),
		commandOf("GET", "\r\n"):                   "\r\n",
	} {
		if key, size, ok := CutGet([]byte(in)); !ok || string(key) != want || size != len(commandOf("GET", want)) {
			t.Errorf("%.40q: got %q, %d, %v", in, key, size, ok)
		}
	}
}

func TestCutCommandAllocatesNothing(t *testing.T) {
	in, args := []byte(commandOf("MGET", "a", "b", "c")), make([][]byte, 0, 8)
	if n := testing.AllocsPerRun(100, func() {
		if _, _, err := CutCommand(in, args); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

// FuzzCutCommand checks that a command is what its parts written again are, that the result does
// not depend on what follows, that no prefix of a command is an error, and that CutGet agrees.
func FuzzCutCommand(f *testing.F) {
	for _, in := range []string{commandOf("PING"), commandOf("GET", "a/b/c"), "*0\r\n", "*-1\r\n", "*1\r\n$-1\r\n", "*2\r\n$3\r\nget\r\n$01\r\nx\r\n", "*1\n", "PING\r\n"} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		args, size, err := CutCommand(in, nil)
		key, getSize, isGet := CutGet(in)
		if isGet && (err != nil || size != getSize || len(args) != 2 || !bytes.Equal(args[1], key)) {
			t.Fatalf("CutGet: %q, %d; CutCommand: %q, %d, %v", key, getSize, args, size, err)
		}
		switch _, framing := err.(FramingError); {
		case err == ErrIncomplete:
			if len(in) >= MaxLine {
				t.Fatalf("%d bytes are incomplete", len(in))
			}
		case framing:
			if _, _, again := CutCommand(append(slices.Clone(in), "x\r\n"...), nil); again != err {
				t.Fatalf("got %v, and with more bytes %v", err, again)
			}
			if reply := AppendRedisError(nil, "ERR "+err.Error()); bytes.IndexByte(reply, '\n') != len(reply)-1 {
				t.Fatalf("reply: %q", reply)
			}
		case err != nil:
			t.Fatal(err)
		default:
			texts := make([]string, len(args))
			for i, a := range args {
				texts[i] = string(a)
			}
			if again := commandOf(texts...); again != string(in[:size]) && string(in[:size]) != "*-1\r\n" {
				t.Fatalf("got %q for %q", again, in[:size])
			}
			for i := range size {
				if _, _, err := CutCommand(in[:i], nil); err != ErrIncomplete {
					t.Fatalf("%q: got %v", in[:i], err)
				}
			}
		}
	})
}

func TestFill(t *testing.T) {
	var r Request
	if ok, err := r.Fill(VerbReject, [][]byte{[]byte("a/b/c"), []byte("v")}); !ok || err != nil || r.Verb != VerbReject || string(r.Args[1]) != "v" {
		t.Errorf("got %v, %v, %+v", ok, err, r)
	}
	if ok, err := r.Fill(VerbReject, [][]byte{[]byte("a/b/c")}); ok || err != nil || r.Verb != 0 {
		t.Errorf("a field is missing: got %v, %v", ok, err)
	}
	if ok, err := r.Fill(VerbPut, [][]byte{[]byte("a/b/c"), []byte("two words")}); !ok || err == nil || r.Verb != 0 || r.Args[0] != nil {
		t.Errorf("a malformed field: got %v, %v, %+v", ok, err, r)
	}
}

func TestRespReplies(t *testing.T) {
	for _, c := range []struct {
		got  []byte
		want string
	}{
		{AppendBulk(nil, "a\r\nb"), "$4\r\na\r\nb\r\n"},
		{AppendArray(nil, 2), "*2\r\n"},
		{AppendMap(nil, false, 2), "*4\r\n"},
		{AppendMap(nil, true, 2), "%2\r\n"},
		{AppendPushed(nil, false, 3), "*3\r\n"},
		{AppendPushed(nil, true, 3), ">3\r\n"},
		{AppendNull(nil, false), "$-1\r\n"},
		{AppendNull(nil, true), "_\r\n"},
		{AppendNumber(nil, -2), ":-2\r\n"},
		{AppendSimple(nil, "OK"), "+OK\r\n"},
		{AppendRedisError(nil, "ERR a\r\nb"), "-ERR a??b\r\n"},
		{AppendCommandError(nil, &Error{Code: Limited, RetryAfter: 60e9, Message: "a\nb"}), "-LIMITED 60 a b\r\n"},
		{AppendCommandError(nil, &Error{Code: Denied, RetryAfter: Never, Message: "write-only"}), "-DENIED - write-only\r\n"},
	} {
		if string(c.got) != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
