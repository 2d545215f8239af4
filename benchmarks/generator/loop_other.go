//go:build !linux

package generator

import "context"

const haveLoop = false

func runLoops(context.Context, Plan) (*Result, error) { panic("no loops on this system") }
