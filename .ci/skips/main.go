// Skips runs go test and prints its output, followed by a list of the skipped tests with the reason
// for each.
//
//	go run ./.ci/skips [-require FILE] go test ./...
//
// With -require it fails if a test that FILE names as `directory: Test` was skipped. The exit
// status is 1 for a skipped required test, a failed test and a failed build.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

func main() {
	require := flag.String("require", "", "fail if a test that `FILE` names was skipped")
	flag.Parse()
	var named []byte
	if *require != "" {
		var err error
		if named, err = os.ReadFile(*require); err != nil {
			fmt.Fprintln(os.Stderr, "skips:", err)
			os.Exit(2)
		}
	}
	args := flag.Args()
	if len(args) < 2 || args[1] != "test" {
		fmt.Fprintln(os.Stderr, "usage: skips [-require FILE] go test ARGUMENTS")
		os.Exit(2)
	}
	r := report{out: os.Stdout, output: map[test][]string{}}
	err := r.run(args[0], args[2:])
	if !r.finish(string(named)) || err != nil {
		os.Exit(1)
	}
}

// run runs `command test -json arguments`.
func (r *report) run(command string, arguments []string) error {
	cmd := exec.Command(command, append([]string{"test", "-json"}, arguments...)...)
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "skips:", err)
		return err
	}
	return errors.Join(r.read(events), cmd.Wait())
}

// event is one line of `go test -json`; see `go doc test2json`.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

type test struct{ pkg, name string }

// report collects the events of a run.
type report struct {
	out     io.Writer
	output  map[test][]string // of each running test
	skipped []string          // "directory: Test  reason"
	names   []test            // the same tests
	failed  bool
}

func (r *report) read(from io.Reader) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(r.out, lines.Text()) // printed by the go command itself
			continue
		}
		r.event(e)
	}
	return lines.Err()
}

func (r *report) event(e event) {
	t := test{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "output":
		switch {
		case e.Test != "":
			if !strings.HasPrefix(e.Output, "=== ") {
				r.output[t] = append(r.output[t], e.Output)
			}
		case e.Output != "PASS\n":
			fmt.Fprint(r.out, e.Output)
		}
	case "fail":
		r.failed = true
		fmt.Fprint(r.out, strings.Join(r.output[t], ""))
		delete(r.output, t)
	case "pass":
		delete(r.output, t)
	case "skip":
		if e.Test != "" {
			r.skip(t)
		}
	}
}

// skip records a skipped test and its reason.
func (r *report) skip(t test) {
	reason := "no reason given"
	for _, line := range r.output[t] {
		line = strings.TrimSpace(line)
		if _, after, found := strings.Cut(line, ".go:"); found {
			if _, text, found := strings.Cut(after, ": "); found {
				reason = text
			}
		}
	}
	delete(r.output, t)
	_, dir, _ := strings.Cut(t.pkg, "/") // without the module's name
	t.pkg = dir
	r.names = append(r.names, t)
	r.skipped = append(r.skipped, fmt.Sprintf("%s: %s  (%s)", dir, t.name, reason))
}

// finish prints the list and reports whether the run succeeded. named is the text that names the
// required tests.
func (r *report) finish(named string) bool {
	slices.Sort(r.skipped)
	fmt.Fprintf(r.out, "== skipped tests: %d\n", len(r.skipped))
	for _, s := range r.skipped {
		fmt.Fprintln(r.out, "  ", s)
	}
	required := map[test]bool{}
	for _, m := range namedTest.FindAllStringSubmatch(named, -1) {
		required[test{m[1], m[2]}] = true
	}
	for _, t := range r.names {
		t.name, _, _ = strings.Cut(t.name, "/") // a guarantee needs every case of its test
		if required[t] {
			r.failed = true
			fmt.Fprintf(r.out, "FAIL: %s: %s was skipped, and a guarantee depends on it\n", t.pkg, t.name)
		}
	}
	return !r.failed
}

// namedTest matches a test named in a text.
var namedTest = regexp.MustCompile("`([a-z/]+): (Test[A-Za-z0-9]+)`")
