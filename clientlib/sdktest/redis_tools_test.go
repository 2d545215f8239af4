package sdktest

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"tokend/clientlib"
)

// find returns the path of a program. Without it the test is skipped, or fails if all are required.
func find(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		skip(t, "%v", err)
	}
	return path
}

// skip skips a test that needs a tool, unless TOOLS=required.
func skip(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("TOOLS") == "required" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// run runs a program and returns what it prints.
func run(t *testing.T, env []string, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", filepath.Base(program), err, out)
	}
	return string(out)
}

// TestRedisClients runs the clients of other languages. Each gets values, a missing key, an error
// and a message, and deletes a key.
func TestRedisClients(t *testing.T) {
	s := newPushedSite(t, "")
	value := mustGet(t, s, officialToken)
	args := []string{s.tokens.Client.Socket, officialToken, rotatingToken, value}
	ok := func(t *testing.T, env []string, program, script string) {
		t.Helper()
		if got := run(t, env, program, append([]string{filepath.Join("testdata", script)}, args...)...); got != "ok\n" {
			t.Errorf("%s prints %s", script, got)
		}
	}
	t.Run("phpredis", func(t *testing.T) {
		php := find(t, "php")
		if !strings.Contains(run(t, nil, php, "-m"), "\nredis\n") {
			skip(t, "php has no redis")
		}
		ok(t, nil, php, "phpredis.php")
	})
	t.Run("predis", func(t *testing.T) {
		php := find(t, "php")
		if _, err := os.Stat("/usr/share/php/Predis/Autoloader.php"); err != nil {
			skip(t, "%v", err)
		}
		ok(t, nil, php, "predis.php")
	})
	t.Run("python", func(t *testing.T) {
		python := find(t, "/usr/bin/python3") // Debian's, which has the package
		if err := exec.Command(python, "-c", "import redis").Run(); err != nil {
			skip(t, "python3 has no redis: %v", err)
		}
		ok(t, nil, python, "python.py")
	})
	for _, script := range []string{"ioredis.js", "noderedis.js"} {
		t.Run(script, func(t *testing.T) {
			node := find(t, "node")
			ok(t, []string{"NODE_PATH=" + nodeModules(t)}, node, "node/"+script)
		})
	}
}

// nodeModules installs the packages of testdata/node once and returns their directory.
func nodeModules(t *testing.T) string {
	t.Helper()
	npm := find(t, "npm")
	cache, err := os.UserCacheDir()
	dir := filepath.Join(cmp.Or(cache, os.TempDir()), "tokend-sdktest", "node")
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	for _, file := range []string{"package.json", "package-lock.json"} {
		b, e := os.ReadFile(filepath.Join("testdata/node", file))
		if e == nil {
			e = os.WriteFile(filepath.Join(dir, file), b, 0o644)
		}
		err = cmp.Or(err, e)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), npm, "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		skip(t, "npm: %v\n%s", err, out)
	}
	return filepath.Join(dir, "node_modules")
}

// TestRedisTools runs redis-cli and redis-benchmark, in both versions of RESP.
func TestRedisTools(t *testing.T) {
	cli, benchmark := find(t, "redis-cli"), find(t, "redis-benchmark")
	s := newSite(t)
	value, socket := mustGet(t, s, officialToken), s.tokens.Client.Socket
	for _, version := range []string{"-2", "-3"} {
		for command, want := range map[string]string{
			"GET " + officialToken:            value,
			"GET nothing":                     "",
			"MGET nothing " + officialToken:   "\n" + value,
			"TTL nothing":                     "-2",
			"EXISTS nothing " + officialToken: "1",
			"DEL " + officialToken:            "1",
			"KEYS *":                          "ERR unknown command 'KEYS', with args beginning with: \n",
			"GET open_platform/wxsandboxplatform/wxcustomer/refresh_token": "DENIED - write-only\n",
			"CONFIG GET databases": "databases 1",
			"PING":                 "PONG",
		} {
			if got := run(t, nil, cli, append([]string{version, "-s", socket}, strings.Fields(command)...)...); strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(want), " ") {
				t.Errorf("redis-cli %s %s: got %q, want %q", version, command, got, want)
			}
		}
		flags := []string{"-s", socket, "-q", "-n", "5000", "-c", "20"}
		if version == "-3" {
			flags = append(flags, "-3")
		}
		for _, command := range [][]string{{"GET", officialToken}, {"-t", "get,ping_mbulk"}, {"-P", "16", "GET", officialToken}} {
			out := run(t, nil, benchmark, append(flags[:len(flags):len(flags)], command...)...)
			if !strings.Contains(out, "requests per second") || strings.Contains(strings.ToUpper(out), "WARN") || strings.Contains(out, "rror") {
				t.Errorf("redis-benchmark %s: %s", command, out)
			}
		}
	}
}

// TestRedisCLISubscribes holds that redis-cli gets a message, in both versions of RESP.
func TestRedisCLISubscribes(t *testing.T) {
	cli := find(t, "redis-cli")
	s := newSite(t)
	for _, version := range []string{"-2", "-3"} {
		old := mustGet(t, s, rotatingToken)
		cmd := exec.CommandContext(t.Context(), cli, version, "-s", s.tokens.Client.Socket, "SUBSCRIBE", rotatingToken)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		hung := time.AfterFunc(longEnough, func() { _ = cmd.Process.Kill() })
		lines := bufio.NewScanner(out)
		var got []string
		for len(got) < 6 && lines.Scan() {
			if got = append(got, lines.Text()); len(got) == 3 { // it has subscribed
				if _, err := s.tokens.Client.Reject(t.Context(), rotatingToken, clientlib.Secret(old)); err != nil {
					t.Error(err)
				}
			}
		}
		hung.Stop()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		text := strings.Join(got, "\n")
		if !strings.Contains(text, "subscribe") || !strings.Contains(text, "message") || strings.Count(text, rotatingToken) != 2 || !strings.Contains(text, "fresh ") {
			t.Errorf("redis-cli %s SUBSCRIBE prints %q", version, got)
		}
	}
}

// TestManyDelete kills a token and lets 100 clients, of them 20 processes, delete it: one fetches.
func TestManyDelete(t *testing.T) {
	t.Parallel() // it mostly waits
	cli, cliErr := exec.LookPath("redis-cli")
	s := newSite(t)
	old := mustGet(t, s, rotatingToken)
	before := s.calls()
	time.Sleep(11 * time.Second) // a value is not deleted in its first 10 s
	s.kill(rotatingToken, "40001")
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			if i < 20 && cliErr == nil {
				if out, err := exec.Command(cli, "-s", s.tokens.Client.Socket, "DEL", rotatingToken).CombinedOutput(); err != nil || string(out) != "1\n" {
					t.Errorf("redis-cli: %s, %v", out, err)
				}
				return
			}
			c, err := redis.Dial("unix", s.tokens.Client.Socket)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			if n, err := redis.Int(c.Do("DEL", rotatingToken)); err != nil || n != 1 {
				t.Errorf("DEL: got %d, %v", n, err)
			}
			if got, err := redis.String(c.Do("GET", rotatingToken)); err != nil || got == old {
				t.Errorf("GET after DEL: %v, or the killed value", err)
			}
		})
	}
	wg.Wait()
	if got := s.calls() - before; got != 1 {
		t.Errorf("%d calls, want 1", got)
	}
	c, err := redis.Dial("unix", s.tokens.Client.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 3 {
		if _, err := c.Do("SET", rotatingToken, "foreign"); err != nil {
			t.Fatal(err)
		}
	}
	stats, err := redis.Int64Map(c.Do("STATS"))
	if err != nil || stats["foreign_sets"] != 3 {
		t.Errorf("foreign_sets: %v, %v", stats["foreign_sets"], err)
	}
	if got, err := redis.String(c.Do("GET", rotatingToken)); err != nil || got == "foreign" {
		t.Errorf("GET after SET: got %q, %v", got, err)
	}
	log, err := os.ReadFile(filepath.Join(filepath.Dir(s.tokens.Client.Socket), "log"))
	if n := strings.Count(string(log), "fetches a credential for itself"); err != nil || n != 1 {
		t.Errorf("%d log lines, %v", n, err)
	}
	if strings.Contains(fmt.Sprint(string(log)), "foreign\n") {
		t.Error("the log has the value")
	}
}
