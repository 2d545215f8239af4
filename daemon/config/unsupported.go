package config

import (
	"fmt"
	"slices"
)

// Unsupported returns what the file asks for, rightly, and this version cannot
// do. Who starts a daemon or checks a file for one must refuse it.
func (c *Config) Unsupported() []Problem {
	var ps []Problem
	refuse := func(line int, what string) {
		ps = append(ps, Problem{c.File, line, fmt.Sprintf("%s is not supported by this version of tokend", what)})
	}
	if c.HTTP != nil {
		refuse(c.HTTP.Line, "[http]")
	}
	for _, p := range c.OpenPlatforms {
		refuse(p.Line, "[[open_platform]]")
	}
	for _, w := range c.OpenWork {
		for _, s := range w.Suites {
			refuse(s.Line, "[[open_work.suite]]")
		}
	}
	for _, a := range c.Access {
		for _, verb := range []string{"PUT", "EXCHANGE", "PUSH"} {
			if slices.Contains(a.Verbs, verb) {
				refuse(a.Line, "[[access]] verb "+verb)
			}
		}
	}
	byLine(ps)
	return ps
}
