package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"regexp"
	"strconv"
	"strings"

	"tokend/benchmarks/generator"
	"tokend/protocol"
)

// longestRange is the maximum number of names in a range: ten times the customers of the largest
// platform in tokend's own measurements.
const longestRange = 10_000_000

// benchNames returns the names in args and in a file.
func benchNames(env *environment, file string, args []string) ([]string, error) {
	if file == "" && len(args) == 0 {
		return nil, errors.New("NAME is missing")
	}
	patterns := args
	if file != "" {
		lines, err := readNames(env, file)
		if err != nil {
			return nil, err
		}
		patterns = append(lines, args...)
	}
	var names []string
	for _, pattern := range patterns {
		all, err := expand(pattern)
		if err != nil {
			return nil, err
		}
		for name := range all {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no names in %s", file)
	}
	return names, nil
}

func readNames(env *environment, file string) (names []string, err error) {
	var r io.Reader = env.stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		r = f
	}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if name := strings.TrimSpace(lines.Text()); name != "" {
			names = append(names, name)
		}
	}
	return names, lines.Err()
}

// numbers matches a range in a name. Names contain no other braces.
var numbers = regexp.MustCompile(`\{(\d{1,18})-(\d{1,18})\}`)

// expand returns the names of a pattern: the pattern itself, or one name for each number in its
// range. The numbers have at least as many digits as the first.
func expand(pattern string) (iter.Seq[string], error) {
	var at []int
	if strings.Contains(pattern, "{") { // fast for a million names without a range
		at = numbers.FindStringSubmatchIndex(pattern)
	}
	if at == nil {
		return func(yield func(string) bool) { yield(pattern) }, nil
	}
	low, high := pattern[at[2]:at[3]], pattern[at[4]:at[5]]
	first, _ := strconv.ParseInt(low, 10, 64) // both are digits, and at most 18
	last, _ := strconv.ParseInt(high, 10, 64)
	switch {
	case strings.Contains(pattern[at[1]:], "{"):
		return nil, fmt.Errorf("%q has more than one range", pattern)
	case last < first:
		return nil, fmt.Errorf("%q: the first number of a range must be the lower one", pattern)
	case last-first >= longestRange:
		return nil, fmt.Errorf("%q is a range of %d names; the limit is %d", pattern, last-first+1, longestRange)
	}
	return func(yield func(string) bool) {
		for n := first; n <= last; n++ {
			if !yield(fmt.Sprintf("%s%0*d%s", pattern[:at[0]], len(low), n, pattern[at[1]:])) {
				return
			}
		}
	}, nil
}

// questions returns the requests for names, or an error if a name is not valid.
func questions(d generator.Dialect, names []string) (*generator.Requests, error) {
	var r generator.Requests
	for _, name := range names {
		if d == generator.Tokend {
			if !protocol.ValidName(name) {
				return nil, fmt.Errorf("%q is not the name of a credential", name)
			}
		} else if len(name) == 0 || len(name) > 250 || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
			return nil, fmt.Errorf("%q cannot be a key: a key has 1 to 250 bytes without spaces", name)
		}
		if !r.Add(func(b []byte) []byte { return d.AppendGet(b, name) }) {
			return nil, errors.New("the names are more than 4 GiB")
		}
	}
	return &r, nil
}
