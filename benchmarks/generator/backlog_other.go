//go:build !unix

package generator

import "errors"

// errBacklog never occurs: only Unix reports a full listen queue.
var errBacklog = errors.New("backlog full")
