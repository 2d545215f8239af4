// Package object has the shape of the package of PowerLibs v3, as far as docs/powerwechat.md uses
// it.
package object

// HashMap is a JSON object.
type HashMap map[string]any
