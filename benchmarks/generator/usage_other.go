//go:build !unix

package generator

import "time"

func processTime() time.Duration { return 0 }
