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

// longestRange is how many names a range may stand for: ten times the customers of the largest
// platform that tokend is measured with.
const longestRange = 10_000_000

// benchNames returns the names to ask for: those of args, and those in a file.
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
		return nil, fmt.Errorf("there is no name in %s", file)
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

// numbers is a range in a name. No name has braces otherwise.
var numbers = regexp.MustCompile(`\{(\d{1,18})-(\d{1,18})\}`)

// expand returns the names that a pattern stands for: itself, or one for each number of the range
// in it, with as many digits as its first has.
func expand(pattern string) (iter.Seq[string], error) {
	var at []int
	if strings.Contains(pattern, "{") { // a million names have none, and are to be read fast
		at = numbers.FindStringSubmatchIndex(pattern)
	}
	if at == nil {
		return func(yield func(string) bool) { yield(pattern) }, nil
	}
	low, high := pattern[at[2]:at[3]], pattern[at[4]:at[5]]
	first, _ := strconv.ParseInt(low, 10, 64) // both are digits, and few enough
	last, _ := strconv.ParseInt(high, 10, 64)
	switch {
	case strings.Contains(pattern[at[1]:], "{"):
		return nil, fmt.Errorf("%q has two ranges; it may have one", pattern)
	case last < first:
		return nil, fmt.Errorf("%q: a range goes from the lower number to the higher", pattern)
	case last-first >= longestRange:
		return nil, fmt.Errorf("%q stands for %d names; it may for %d", pattern, last-first+1, longestRange)
	}
	return func(yield func(string) bool) {
		for n := first; n <= last; n++ {
			if !yield(fmt.Sprintf("%s%0*d%s", pattern[:at[0]], len(low), n, pattern[at[1]:])) {
				return
			}
		}
	}, nil
}

// questions returns the requests for the values of names, if these can be any.
func questions(d generator.Dialect, names []string) (*generator.Requests, error) {
	var r generator.Requests
	for _, name := range names {
		if d == generator.Tokend {
			if !protocol.ValidName(name) {
				return nil, fmt.Errorf("%q is not the name of a credential", name)
			}
		} else if len(name) == 0 || len(name) > 250 || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
			return nil, fmt.Errorf("%q cannot be a key: it has 1 to 250 bytes, without spaces", name)
		}
		if !r.Add(func(b []byte) []byte { return d.AppendGet(b, name) }) {
			return nil, errors.New("the names are more than 4 GiB")
		}
	}
	return &r, nil
}
