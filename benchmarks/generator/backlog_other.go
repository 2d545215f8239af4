//go:build !unix

package generator

import "errors"

// errBacklog is nothing that connect says: no system but Unix has it for a full backlog.
var errBacklog = errors.New("backlog full")
