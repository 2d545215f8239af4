package protocol

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

const (
	token = "work/ww0123/1000002/access_token"
	grant = "open_platform/wxcomponent/wxauthorizer/refresh_token"

	platform  = "open_platform/wxcomponent"
	signature = "0a1b2c3d4e5f60718293A4B5C6D7E8F901234567"
)

func TestParseRequest(t *testing.T) {
	for _, tt := range []struct {
		line string
		verb Verb
		args []string
	}{
		{"PING", VerbPing, nil},
		{"ping", VerbPing, nil},
		{"VeRsIoN", VerbVersion, nil},
		{"GET " + token, VerbGet, []string{token}},
		{"REJECT " + token + " tok-01", VerbReject, []string{token, "tok-01"}},
		{"PUT " + grant + " refresh@@@01", VerbPut, []string{grant, "refresh@@@01"}},
		{"exchange " + platform + " code@@@01", VerbExchange, []string{platform, "code@@@01"}},
		{"PUSH " + platform + " " + signature + " 0946684800 n-1 YQ+/==", VerbPush, []string{platform, signature, "0946684800", "n-1", "YQ+/=="}},
		{"IMPORT " + platform, VerbImport, []string{platform}},
		{"IMPORT " + platform + " 500", VerbImport, []string{platform, "500"}},
		{"SIGN " + token + " https://example.com/?a=b&c=d#e", VerbSign, []string{token, "https://example.com/?a=b&c=d#e"}},
		{"LIST", VerbList, nil},
		{"LIST work/", VerbList, []string{"work/"}},
		{"watch", VerbWatch, nil},
		{"Backup", VerbBackup, nil},
		{"QUIT", VerbQuit, nil},
	} {
		var r Request
		if err := r.Parse([]byte(tt.line)); err != nil {
			t.Errorf("%q: %v", tt.line, err)
			continue
		}
		var args []string
		for _, arg := range r.Args[:r.N] {
			args = append(args, string(arg))
		}
		if r.Verb != tt.verb || !slices.Equal(args, tt.args) {
			t.Errorf("%q:\n got: %s %q\nwant: %s %q", tt.line, r.Verb, args, tt.verb, tt.args)
		}
	}
}

// TestParseRequestRefuses holds that errors name the mistake and repeat nothing that may be a
// value.
func TestParseRequestRefuses(t *testing.T) {
	const secret = "s3cr3t-value"
	for _, tt := range []struct {
		about, line, want string
	}{
		{"nothing", "", "the line is empty"},
		{"a leading space", " GET " + token, "begins with a space"},
		{"a trailing space", "PING ", "too many fields"},
		{"a trailing space after a name", "GET " + token + " ", "too many fields"},
		{"a prefix that is empty", "LIST ", "two spaces in a row"},
		{"two spaces", "GET  " + token, "two spaces in a row"},
		{"a tab", "GET\t" + token, "does not begin with a verb"},
		{"no name", "GET", "a field is missing; the form is: GET <name>"},
		{"no value", "REJECT " + token, "the form is: REJECT <name> <value>"},
		{"a backup of something", "BACKUP " + token, "too many fields; the form is: BACKUP"},
		{"a field too many", "STATS all", "too many fields; the form is: STATS"},
		{"an unknown verb", "fetch " + token, "does not begin with a verb"},
		{"a misspelled verb", "gett " + token, `unknown verb "gett": did you mean GET?`},
		{"a verb with a NUL before it", "\x00GET " + token, "does not begin with a verb"},
		{"half a value", secret, "does not begin with a verb"},
		{"half a value of letters", strings.Repeat("Secret", 20), "does not begin with a verb"},
		{"name and value swapped", "REJECT " + secret + " " + token, "3 to 5 segments"},
		{"a value with a control", "REJECT " + token + " " + secret + "\x01", "byte 13 of the value"},
		{"a value too long", "REJECT " + token + " " + strings.Repeat(secret, 4000), "at most 32768 bytes"},
		{"a grant and its name swapped", "PUT " + secret + " " + grant, "3 to 5 segments"},
		{"a name for an owner", "EXCHANGE " + grant + " " + secret, "an owner is family/owner: 2 segments, this one has 4"},
		{"a family for an owner", "IMPORT open_platform", "this one has 1"},
		{"an owner that ends in a slash", "IMPORT open_platform/", "a segment of the name is empty"},
		{"a code with a control", "EXCHANGE " + platform + " " + secret + "\x7f", "byte 13 of the auth_code"},
		{"no code", "EXCHANGE " + platform, "the form is: EXCHANGE <owner> <auth_code>"},
		{"an offset below zero", "IMPORT " + platform + " -1", "from 0 to"},
		{"an offset beyond all customers", "IMPORT " + platform + " 100000001", "from 0 to"},
		{"an offset that is not a number", "IMPORT " + platform + " " + secret, "from 0 to"},
		{"a signature too short", "PUSH " + platform + " " + signature[1:] + " 1 n YQ", "this one 39 characters"},
		{"a signature of other letters", "PUSH " + platform + " g" + signature[1:] + " 1 n YQ", "byte 1 of the msg_signature"},
		{"a timestamp that is not a number", "PUSH " + platform + " " + signature + " " + secret + " n YQ", "byte 1 of the timestamp"},
		{"a timestamp too long", "PUSH " + platform + " " + signature + " " + strings.Repeat("1", 21) + " n YQ", "at most 20 bytes"},
		{"a nonce too long", "PUSH " + platform + " " + signature + " 1 " + strings.Repeat("n", 129) + " YQ", "at most 128 bytes"},
		{"an encrypt that is not base64", "PUSH " + platform + " " + signature + " 1 n " + secret, "byte 7 of the encrypt"},
		{"an encrypt too long", "PUSH " + platform + " " + signature + " 1 n " + strings.Repeat("Q", MaxEncrypt+1), "at most 61440 bytes"},
		{"a plus that became a space", "PUSH " + platform + " " + signature + " 1 n YQ YQ", "too many fields"},
		{"a bare CR", "GET " + token + "\rGET", "byte 33 is not allowed"},
	} {
		r := Request{Verb: VerbGet, N: 1}
		err := r.Parse([]byte(tt.line))
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Code != BadRequest || e.RetryAfter != Never {
			t.Errorf("%s: error is %v, want BAD_REQUEST and no retry", tt.about, err)
			continue
		}
		if !strings.Contains(e.Message, tt.want) {
			t.Errorf("%s:\n got: %s\nwant: ...%s...", tt.about, e.Message, tt.want)
		}
		if strings.Contains(strings.ToLower(e.Message), "s3cr3t") || strings.Contains(e.Message, "Secret") {
			t.Errorf("%s: the error repeats the value", tt.about)
		}
		if r.Verb != 0 || r.N != 0 || r.Args[0] != nil {
			t.Errorf("%s: the request keeps part of the line", tt.about)
		}
	}
}

func TestAppendRequest(t *testing.T) {
	for _, tt := range []struct {
		verb Verb
		args []string
		want string // "" is an error
	}{
		{VerbPing, nil, "PING\n"},
		{VerbGet, []string{token}, "GET " + token + "\n"},
		{VerbReject, []string{token, "tok-01"}, "REJECT " + token + " tok-01\n"},
		{VerbPut, []string{grant, "v"}, "PUT " + grant + " v\n"},
		{VerbPut, []string{grant, "v\nPING"}, ""},
		{VerbExchange, []string{platform, "c"}, "EXCHANGE " + platform + " c\n"},
		{VerbExchange, []string{platform}, ""},
		{VerbPush, []string{platform, signature, "1", "n", "YQ=="}, "PUSH " + platform + " " + signature + " 1 n YQ==\n"},
		{VerbPush, []string{platform, signature, "1", "n", ""}, ""},
		{VerbPush, []string{platform, signature, "1", "n\nPING", "YQ=="}, ""},
		{VerbImport, []string{platform, ""}, "IMPORT " + platform + "\n"},
		{VerbImport, []string{platform, "500"}, "IMPORT " + platform + " 500\n"},
		{VerbImport, []string{platform, "0500"}, ""},
		{VerbImport, []string{""}, ""},
		{VerbList, nil, "LIST\n"},
		{VerbList, []string{""}, "LIST\n"},
		{VerbWatch, []string{"work/"}, "WATCH work/\n"},
		{VerbGet, nil, ""},
		{VerbGet, []string{""}, ""},
		{VerbPing, []string{""}, ""},
		{VerbList, []string{"", ""}, ""},
		{VerbGet, []string{token + "\nQUIT"}, ""},
		{VerbReject, []string{token, "tok 01"}, ""},
		{VerbReject, []string{token, "tok\r\nPING"}, ""},
		{VerbSign, []string{token, "a\nb"}, ""},
		{0, nil, ""},
		{VerbQuit + 1, nil, ""},
	} {
		got, err := AppendRequest([]byte("before "), tt.verb, tt.args...)
		if want := "before " + tt.want; string(got) != want {
			t.Errorf("%s %q:\n got: %q\nwant: %q", tt.verb, tt.args, got, want)
		}
		if (err != nil) != (tt.want == "") {
			t.Errorf("%s %q: error is %v", tt.verb, tt.args, err)
		}
	}
}

// TestLongestPushFits holds that the longest PUSH fits into a line.
func TestLongestPushFits(t *testing.T) {
	segment := strings.Repeat("s", MaxSegment)
	line, err := AppendRequest(nil, VerbPush, segment+"/"+segment, signature, strings.Repeat("1", maxTimestamp),
		strings.Repeat("n", maxNonce), strings.Repeat("Q", MaxEncrypt))
	if err != nil || len(line) > MaxLine {
		t.Errorf("%d bytes, error %v", len(line), err)
	}
}

func TestCutLine(t *testing.T) {
	longest := strings.Repeat("x", MaxLine-1)
	for _, tt := range []struct {
		about, buf, line, rest string
		err                    error
	}{
		{"nothing", "", "", "", ErrIncomplete},
		{"half a line", "PIN", "", "PIN", ErrIncomplete},
		{"a line", "PING\n", "PING", "", nil},
		{"a line and more", "PING\nGET", "PING", "GET", nil},
		{"CR LF", "PING\r\n", "PING", "", nil},
		{"two CR", "PING\r\r\n", "PING\r", "", nil},
		{"an empty line", "\n\n", "", "\n", nil},
		{"CR LF alone", "\r\n", "", "", nil},
		{"the longest line", longest + "\nrest", longest, "rest", nil},
		{"nearly too long", longest, "", longest, ErrIncomplete},
		{"too long", longest + "x", "", longest + "x", ErrLineTooLong},
		{"too long by its LF", longest + "x\n", "", longest + "x\n", ErrLineTooLong},
	} {
		line, rest, err := CutLine([]byte(tt.buf))
		if string(line) != tt.line || string(rest) != tt.rest || err != tt.err {
			t.Errorf("%s: line of %d, rest of %d, error %v", tt.about, len(line), len(rest), err)
		}
	}
}

// TestNoAllocation holds that parsing a request and writing a reply allocate nothing.
func TestNoAllocation(t *testing.T) {
	buf := []byte("reject " + token + " tok-01\r\nrest")
	push := []byte("PUSH " + platform + " " + signature + " 946684800 1320562132 dGlja2V0IDAx\n")
	out := make([]byte, 0, 1024)
	var r Request
	allocs := testing.AllocsPerRun(100, func() {
		line, _, err := CutLine(buf)
		if err != nil || r.Parse(line) != nil {
			t.Fatal("refused")
		}
		if line, _, err = CutLine(push); err != nil || r.Parse(line) != nil {
			t.Fatal("refused")
		}
		out = AppendValue(out[:0], 7200e9, "tok-01")
		out = AppendCustomer(out, platform+"/wxauthorizer")
		out = AppendImportPage(out, ImportPage{Total: 700, Kept: 500, Next: 500})
		out = AppendListing(out, token, "fresh", 7200e9)
		out = AppendError(out, &Error{Code: Limited, RetryAfter: 1, Message: "30 s apart"})
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// FuzzParseRequest holds that an accepted request can be written again unchanged, and that a
// refused one leaves the Request empty.
func FuzzParseRequest(f *testing.F) {
	for _, v := range Verbs() {
		f.Add([]byte(forms[v].usage + "\n"))
	}
	f.Add([]byte("get " + token + "\r\nping\n"))
	f.Add([]byte("push " + platform + " " + signature + " 946684800 1320562132 dGlja2V0IDAx\n"))
	f.Fuzz(func(t *testing.T, buf []byte) {
		line, rest, err := CutLine(buf)
		if err != nil {
			if line != nil || !bytes.Equal(rest, buf) {
				t.Fatal("CutLine failed and removed bytes")
			}
			return
		}
		if len(line)+len(rest) > len(buf)-1 || bytes.IndexByte(line, '\n') >= 0 {
			t.Fatal("CutLine cut wrongly")
		}
		var r Request
		if err := r.Parse(line); err != nil {
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Code != BadRequest {
				t.Fatalf("error is %v", err)
			}
			if r.Verb != 0 || r.N != 0 || slices.ContainsFunc(r.Args[:], func(arg []byte) bool { return arg != nil }) {
				t.Fatal("refused, but the request is not empty")
			}
			if reply := AppendError(nil, e); bytes.Count(reply, []byte("\n")) != 1 {
				t.Fatalf("the refusal is more than one line: %q", reply)
			}
			return
		}
		var args []string
		for _, arg := range r.Args[:r.N] {
			args = append(args, string(arg))
		}
		again, err := AppendRequest(nil, r.Verb, args...)
		if err != nil {
			t.Fatalf("accepted %q, but cannot write it: %v", line, err)
		}
		word, fields, _ := bytes.Cut(line, space)
		canonical := append(bytes.ToUpper(word), ' ')
		canonical = append(bytes.TrimSuffix(append(canonical, fields...), space), '\n')
		if !bytes.Equal(again, canonical) {
			t.Fatalf("\n got: %q\nwant: %q", again, canonical)
		}
	})
}

func BenchmarkParseRequest(b *testing.B) {
	buf := []byte("GET " + token + "\n")
	var r Request
	b.ReportAllocs()
	for b.Loop() {
		line, _, err := CutLine(buf)
		if err != nil || r.Parse(line) != nil {
			b.Fatal("refused")
		}
	}
}

func BenchmarkAppendValue(b *testing.B) {
	value := strings.Repeat("v", 512)
	out := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		out = AppendValue(out[:0], 7200e9, value)
	}
}
