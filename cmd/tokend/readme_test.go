package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tokend/cmd/tokend/sandbox"
	"tokend/fetchers/wechattest"
)

// examples are the examples of the README and the pages, run unchanged against a site. Examples in
// a language that is not installed are skipped.
type examples struct {
	pages string
	site  *site
}

// examplesFor returns the examples for s.
func examplesFor(t *testing.T, s *site) *examples {
	t.Helper()
	e := &examples{site: s}
	for _, page := range []string{"README.md", "docs/clients.md", "docs/curl.md", "docs/platforms.md", "docs/migration.md"} {
		e.pages += readText(t, page) + "\n"
	}
	return e
}

// phpFunction returns the PHP function of the examples and the code that calls it.
func (e *examples) phpFunction(t *testing.T) (function, use string) {
	t.Helper()
	function, use, found := strings.Cut(e.text(t, "php", "stream_socket_client"), "$name = ")
	if !found {
		t.Fatal("the function is not called")
	}
	return function, "$name = " + use
}

// text returns the first block of a language that contains all words, with the site's socket and
// accounts.
func (e *examples) text(t *testing.T, language string, words ...string) string {
	t.Helper()
next:
	for _, b := range blocks(e.pages, language) {
		for _, w := range words {
			if !strings.Contains(b, w) {
				continue next
			}
		}
		return strings.NewReplacer(
			"/run/tokend/tokend.sock", e.site.conf.Socket(),
			"official_account/wx0123456789abcdef", "official_account/wxsandboxofficial",
			"open_platform/wxaaaabbbbccccdddd", "open_platform/wxsandboxplatform",
			"open_work/ww00001111222233334", "open_work/wwsandboxsuite",
			"https://api.weixin.qq.com", e.site.conf.URL,
			"sudo ", "", // the site belongs to this user
		).Replace(b)
	}
	t.Fatalf("no example in %s with %q", language, words)
	return ""
}

// output returns the output of a program.
func (e *examples) output(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("%s is not installed", program)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TOKEND_SOCKET="+e.site.conf.Socket())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
	return strings.TrimSpace(string(out))
}

// netcat reports whether the nc of the examples is installed, which is OpenBSD's.
func netcat(t *testing.T) bool {
	help, _ := exec.CommandContext(t.Context(), "nc", "-h").CombinedOutput()
	return strings.Contains(string(help), "-N")
}

// file returns the path of a file with that text.
func file(t *testing.T, name string, text ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(strings.Join(text, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestClientExamples runs the clients in each language.
func TestClientExamples(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	s.serve()
	e := examplesFor(t, s)
	const name, rotating = "official_account/wxsandboxofficial/access_token", "official_account/wxsandboxrotating/access_token"
	current := func(t *testing.T) string {
		t.Helper()
		v, err := s.client.Get(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return string(v.Value)
	}

	t.Run("php", func(t *testing.T) {
		function, use := e.phpFunction(t)
		got := e.output(t, "", "php", file(t, "example.php", "<?php\n", function, use, `
try { tokend(TOKEND, 'GET', 'official_account/nobody/access_token'); } catch (RuntimeException $e) { echo $e->getMessage(), "\n"; }
try { tokend(TOKEND, "GET a\nGET b"); } catch (InvalidArgumentException $e) { echo $e->getMessage(), "\n"; }
`, e.text(t, "php", "'SIGN'"), `
echo strlen($signature), "\n";
echo $token;
`))
		want := "tokend: " + s.conf.Socket() + ": ERR NOT_FOUND - no such credential\ntokend: control character in a request\n40\n" + current(t)
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
	t.Run("php rejects a refused token", func(t *testing.T) {
		function, use := e.phpFunction(t)
		use = strings.ReplaceAll(use, name, rotating) // a rotating token
		script := file(t, "reject.php", "<?php\n", function, use, `echo $token, ' ', isset($answer['ip_list']) ? 'accepted' : 'refused';`)
		before := e.output(t, "", "php", script)
		if again := e.output(t, "", "php", script); again != before || !strings.HasSuffix(again, " accepted") {
			t.Errorf("a valid token: got %s, before it %s", again, before)
		}
		s.wechat.Inject(wechattest.Fault{Endpoint: wechattest.Probe, Code: 40001, Times: 1})
		if got := e.output(t, "", "php", script); got == before || !strings.HasSuffix(got, " accepted") {
			t.Errorf("a refused token: got %s, before it %s", got, before)
		}
	})
	t.Run("go", func(t *testing.T) {
		program := file(t, "example.go", `package main

import (
	"context"
	"fmt"

	"tokend/clientlib"
)

func main() {
	if err := call(context.Background()); err != nil {
		panic(err)
	}
}

func call(ctx context.Context) error {
`, e.text(t, "go", "clientlib.Client", "token.Value.Reveal()"), `fmt.Print(url)
	return nil
}
`)
		if got, want := e.output(t, repository, "go", "run", program), s.conf.URL+"/cgi-bin/get_api_domain_ip?access_token="+current(t); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
	t.Run("shell", func(t *testing.T) {
		if !netcat(t) {
			t.Skip("nc is not installed, or not OpenBSD's")
		}
		got := strings.Fields(e.output(t, "", "sh", file(t, "example.sh", e.text(t, "sh", "nc -N"))))
		if value := current(t); len(got) != 3 || got[0] != "OK" || got[2] != value {
			t.Errorf("got  %q\nwant OK, seconds, and %s", got, value)
		}
	})
}

// compileCSharp compiles a program and returns a function that runs it.
func (e *examples) compileCSharp(t *testing.T, text string) (run func(t *testing.T, args ...string) string) {
	t.Helper()
	source := file(t, "Example.cs", text)
	e.output(t, filepath.Dir(source), "mcs", "-r:System.Core.dll", source)
	return func(t *testing.T, args ...string) string {
		return e.output(t, filepath.Dir(source), "mono", append([]string{"Example.exe"}, args...)...)
	}
}

// TestExamplesReconnect holds that the examples retry once if the connection closes before the
// reply, except for requests that must not be repeated. Their errors name the socket, and contain
// no part of a reply.
func TestExamplesReconnect(t *testing.T) {
	t.Parallel()
	e := examplesFor(t, &site{conf: sandbox.Configuration{Dir: t.TempDir()}})
	languages := map[string]func(t *testing.T) func(t *testing.T, args ...string) string{
		"php": func(t *testing.T) func(t *testing.T, args ...string) string {
			function, _ := e.phpFunction(t)
			program := file(t, "ask.php", "<?php\n", function,
				"try { echo implode(' ', tokend(...array_slice($argv, 1))); } catch (RuntimeException $e) { echo $e->getMessage(); }")
			return func(t *testing.T, args ...string) string {
				return e.output(t, "", "php", append([]string{program}, args...)...)
			}
		},
		"csharp": func(t *testing.T) func(t *testing.T, args ...string) string {
			class, _, _ := strings.Cut(e.text(t, "csharp", "UnixDomainSocketEndPoint"), "    static void Main()")
			return e.compileCSharp(t, class+`static void Main(string[] args) {
				var request = new string[args.Length - 1];
				Array.Copy(args, 1, request, 0, request.Length);
				try { Console.Write(string.Join(" ", Ask(args[0], request)).Substring(3)); }
				catch (IOException e) { Console.Write(e.Message); } } }`)
		},
	}
	for language, compile := range languages {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			run := compile(t)
			for _, test := range []struct {
				request string
				replies []string // "" closes the connection
				want    string
			}{
				{"GET a/b/c", []string{"", "OK 7 v\n"}, "7 v"},
				{"GET a/b/c", []string{"", "", "OK 7 v\n"}, "SOCKET: no reply"},
				{"GET a/b/c", []string{"ERR BUSY 1 too many\n"}, "SOCKET: ERR BUSY 1 too many"},
				{"GET a/b/c", []string{"OK 7 sec", "OK 7 v\n"}, "SOCKET: no reply"},
				{"EXCHANGE a/b code", []string{"", "OK a/b/c\n"}, "SOCKET: no reply"},
				{"GET a/b/c", nil, "SOCKET: "}, // and the system's text
			} {
				socket := listenOnce(t, test.replies)
				got := run(t, append([]string{socket}, strings.Fields(test.request)...)...)
				if want := strings.ReplaceAll(test.want, "SOCKET", "tokend: "+socket); got != want && (test.replies != nil || !strings.HasPrefix(got, want)) {
					t.Errorf("%s, answered %q:\n got %s\nwant %s", test.request, test.replies, got, want)
				}
			}
		})
	}
}

// listenOnce returns a socket that gives each connection one of the replies, then closes it.
// Without replies, nothing listens.
func listenOnce(t *testing.T, replies []string) (socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "tokend-test-") // a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket = filepath.Join(dir, "s")
	if replies == nil {
		return socket
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for _, reply := range replies {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := bufio.NewReader(conn).ReadString('\n'); err == nil {
				_, _ = io.WriteString(conn, reply)
			}
			_ = conn.Close()
		}
	}()
	return socket
}

// TestReadmeSession runs the session at the top of the README, except for the build.
func TestReadmeSession(t *testing.T) {
	t.Parallel()
	found := blocks(readText(t, "README.md"), "console")
	if len(found) != 1 {
		t.Fatalf("%d sessions", len(found))
	}
	dir, err := os.MkdirTemp("", "tokend-test-") // a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	var listen, push string
	for _, addr := range []*string{&listen, &push} {
		if *addr, err = freeAddress(); err != nil {
			t.Fatal(err)
		}
	}
	var script []string
	for line := range strings.Lines(found[0]) {
		command, ok := strings.CutPrefix(line, "$ ")
		if !ok || strings.HasPrefix(command, "go build ") {
			continue // output, and the build
		}
		script = append(script, strings.NewReplacer("/tmp/wx", filepath.Join(dir, "wx"),
			"tokend sandbox", "tokend sandbox --listen "+listen+" --callback "+push).Replace(command))
	}
	script = append(script, "wait\n")
	e := &examples{site: &site{}}
	got := e.output(t, dir, "bash", file(t, "session.sh", script...))
	for _, want := range []string{"\n74_", "\ntokend ", " credentials: "} {
		if !strings.Contains("\n"+got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
}

// newPlatform starts a site with a platform and suites, without an HTTP listener.
func newPlatform(t *testing.T) *site {
	t.Helper()
	s := newSiteOf(t, wechattest.Settings{})
	s.conf.Owners = sandbox.Owners()
	for _, o := range s.conf.Owners {
		o.AddTo(s.wechat)
	}
	s.configure("", "")
	s.serve()
	return s
}

// TestPlatformExamples runs the pages of docs/platforms.md for pushes and for returning customers.
func TestPlatformExamples(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("php"); err != nil {
		t.Skip("php is not installed")
	}
	s := newPlatform(t)
	e := examplesFor(t, s)
	const owner, customer = "wxsandboxplatform", "wxsandboxcustomer"

	function, _ := e.phpFunction(t)
	page := servePHP(t, file(t, "push.php", "<?php\n", function, e.text(t, "php", "'PUSH'")))
	s.wechat.SetCallback(owner, page)
	ctx, cancel := context.WithTimeout(t.Context(), longEnough)
	defer cancel()
	if d := s.wechat.Send(ctx, owner, s.wechat.TicketPush(owner)); d.Err != nil {
		t.Fatalf("a ticket: HTTP %d, %v\n%s", d.Status, d.Err, s.log())
	}
	if _, err := s.client.Get(ctx, "open_platform/wxsandboxplatform/component_verify_ticket"); err != nil {
		t.Error(err)
	}
	for _, query := range []string{"", "?msg_signature=a&timestamp=b&nonce=c", "?msg_signature[]=a", "?nonce=%0AGET"} {
		r, err := http.Post(page+query, "text/xml", strings.NewReader("<xml><Encrypt>AAAA</Encrypt></xml>"))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil || r.StatusCode != http.StatusServiceUnavailable || len(body) > 0 {
			t.Errorf("%q: HTTP %d, %q, %v", query, r.StatusCode, body, err)
		}
	}

	code := s.wechat.Authorize(owner, customer)
	got := e.output(t, "", "php", file(t, "back.php", "<?php\n$_GET['auth_code'] = '"+code+"';\n", function, e.text(t, "php", "auth_code"),
		`echo $preAuthCode === '' ? 'none' : 'some', " $customer $token";`))
	token, err := s.client.Get(ctx, "open_platform/"+owner+"/"+customer+"/access_token")
	if want := "some open_platform/" + owner + "/" + customer + " " + string(token.Value); err != nil || got != want {
		t.Errorf("got  %s\nwant %s, %v", got, want, err)
	}
}

// TestMigrationExamples runs the commands of docs/migration.md.
func TestMigrationExamples(t *testing.T) {
	t.Parallel()
	s := newPlatform(t)
	s.wechat.AddCustomer("wxsandboxplatform", "wxsandboxcustomer")
	e := examplesFor(t, s)
	script := file(t, "move.sh", "set -eu\n", e.text(t, "sh", "tokend import"))
	for name, value := range map[string]string{
		"ticket.txt":         s.wechat.TicketPush("wxsandboxplatform").Event.Ticket,
		"permanent_code.txt": s.wechat.AddCustomer("wwsandboxsuite", "ww44443333222211110"),
	} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(script), name), []byte(value+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := strings.Join(strings.Fields(e.output(t, filepath.Dir(script), "sh", script)), " ")
	for _, want := range []string{"1 customer listed, 1 grant new", "open_work/wwsandboxsuite/ww44443333222211110/permanent_code fresh -"} {
		if !strings.Contains(got, want) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	if _, err := s.client.Get(t.Context(), "open_platform/wxsandboxplatform/wxsandboxcustomer/access_token"); err != nil {
		t.Error(err)
	}
}

// servePHP serves a page with PHP until the end of the test and returns its address.
func servePHP(t *testing.T, page string) string {
	t.Helper()
	addr, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "php", "-S", addr, page)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // the context has ended it
	for began := time.Now(); ; time.Sleep(2 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
			return "http://" + addr + "/"
		}
		if time.Since(began) > longEnough {
			t.Fatal(err)
		}
	}
}
