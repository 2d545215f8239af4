//go:build linux

package rig

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Scenario is one measurement of a program whose state is a T. It adds its results to the rows.
type Scenario[T any] struct {
	Name  string
	About string
	Run   func(T, context.Context) error

	// Named excludes the scenario unless it is named: it breaks down the result of another one.
	Named bool
}

// Names returns the names of all, for a usage text.
func Names[T any](all []Scenario[T]) string {
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
	}
	return strings.Join(names, ", ")
}

// Choose returns the scenarios in a list, or all except those with Named set.
func Choose[T any](all []Scenario[T], list string) ([]Scenario[T], error) {
	if list == "" {
		return slices.DeleteFunc(slices.Clone(all), func(s Scenario[T]) bool { return s.Named }), nil
	}
	var chosen []Scenario[T]
	for name := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(all, func(s Scenario[T]) bool { return s.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("unknown scenario %q: the scenarios are %s", name, Names(all))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// longest is the time limit of a scenario: three times the longest, which fills a store with a
// million credentials. Results from a slower machine mean nothing.
const longest = 10 * time.Minute

// Measure runs scenarios and prints their rows to stdout, and progress to stderr. A scenario that
// fails gets a row with its error.
func Measure[T any](ctx context.Context, r *Rig, of T, scenarios []Scenario[T], stdout, stderr io.Writer) error {
	began := time.Now()
	for _, s := range scenarios {
		fmt.Fprintf(stderr, "%s: %s\n", s.Name, s.About)
		begun := time.Now()
		bounded, cancel := context.WithTimeout(ctx, longest)
		err := s.Run(of, bounded)
		cancel()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			r.Rows.Missing(s.Name, err)
		}
		fmt.Fprintf(stderr, "%s: %s\n", s.Name, time.Since(begun).Round(time.Second))
	}
	if err := r.Rows.Print(stdout); err != nil {
		return err
	}
	if calm := r.Calm.String(); calm != "" {
		fmt.Fprintf(stdout, "\n%s\n", calm)
	}
	fmt.Fprintf(stdout, "\n%s in all\n", time.Since(began).Round(time.Second))
	return nil
}
