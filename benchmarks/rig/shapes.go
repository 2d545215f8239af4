//go:build linux

package rig

// Shape is one form of load.
type Shape struct {
	Name string
	Args []string // of tokend bench
}

// Shapes are the loads in the table.
var Shapes = []Shape{
	{"50", []string{"--connections", "50"}},
	{"512", []string{"--connections", "512"}},
	{"50x16", []string{"--connections", "50", "--pipeline", "16"}},
	{"connect50", []string{"--connections", "50", "--connect"}},
	{"connect1", []string{"--connections", "1", "--connect"}},
}
