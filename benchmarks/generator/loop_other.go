//go:build !linux

package generator

import "context"

const haveLoop = false

func runLoops(context.Context, Plan) (*Result, error) { panic("there are no loops here") }
