// Plot draws the results of benchmarks/compare as SVG:
//
//	go run ./benchmarks/plot docs/benchmarks.json docs
//
// writes throughput.svg, latency.svg, memory.svg and start.svg into the directory. It knows only
// the names of the figures.
package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: plot FILE DIRECTORY")
		os.Exit(2)
	}
	if err := draw(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(1)
	}
}

// measured is the part of compare's data that is drawn.
type measured struct {
	Connections []struct {
		Server      string  `json:"server"`
		Connections float64 `json:"connections"`
		Rate        float64 `json:"per_second"`
		P50         float64 `json:"p50_us"`
		P99         float64 `json:"p99_us"`
	} `json:"connections"`
	Credentials []cost `json:"credentials"`
}

// cost is the cost of a number of credentials in a server; 0 means not measured.
type cost struct {
	Server      string  `json:"server"`
	Credentials float64 `json:"credentials"`
	Private     float64 `json:"private_bytes"`
	Start       float64 `json:"start_ms"`
}

func draw(file, dir string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var m measured
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if len(m.Connections) == 0 || len(m.Credentials) == 0 {
		return errors.New("no data: run compare with -out and all its parts")
	}
	rate := chart{Title: "Answers a second, by connections", X: "connections, one request at a time", LogX: true}
	latency := chart{Title: "Latency in µs, by connections", X: "connections, one request at a time", LogX: true, LogY: true}
	for _, p := range m.Connections {
		rate.add(p.Server, "", p.Connections, p.Rate)
		latency.add(p.Server, "p99", p.Connections, p.P99)
		latency.add(p.Server, "p50", p.Connections, p.P50)
	}
	memory := chart{Title: "Private memory in MB, by credentials of 512 bytes", X: "credentials", LogX: true, LogY: true}
	start := chart{Title: "Start in ms, from exec to the first answer", X: "credentials", LogX: true, LogY: true}
	slices.SortStableFunc(m.Credentials, func(a, b cost) int { return cmp.Compare(a.Credentials, b.Credentials) })
	for _, p := range m.Credentials {
		memory.add(p.Server, "", p.Credentials, p.Private/(1<<20))
		start.add(p.Server, "", p.Credentials, p.Start)
	}
	for name, c := range map[string]*chart{"throughput": &rate, "latency": &latency, "memory": &memory, "start": &start} {
		if err := os.WriteFile(filepath.Join(dir, name+".svg"), c.svg(), 0o644); err != nil {
			return err
		}
	}
	return nil
}
