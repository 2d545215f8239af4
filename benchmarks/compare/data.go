//go:build linux

package main

import (
	"encoding/json"
	"os"

	"tokend/benchmarks/rig"
)

// data is the input of benchmarks/plot.
type data struct {
	Machine     []string `json:"machine"`
	Quick       bool     `json:"quick,omitempty"`
	Calm        string   `json:"calm,omitempty"`
	Rows        rig.Rows `json:"rows"`
	Connections []point  `json:"connections,omitempty"`
	Credentials []cost   `json:"credentials,omitempty"`
}

// point is one server with a number of connections; the figures are medians.
type point struct {
	Server      string  `json:"server"`
	Connections int     `json:"connections"`
	Rate        float64 `json:"per_second"`
	P50         float64 `json:"p50_us"`
	P99         float64 `json:"p99_us"`
}

// cost is the cost of a number of credentials in one server; the figures are medians.
type cost struct {
	Server      string  `json:"server"`
	Credentials int     `json:"credentials"`
	Private     float64 `json:"private_bytes"`
	Start       float64 `json:"start_ms"`
}

func (d *data) write(file string) error {
	b, err := json.MarshalIndent(d, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}
