package credential

import "strings"

// OwnerOf returns the owner of the credential called name: its first two segments.
func OwnerOf(name string) string {
	family := strings.IndexByte(name, '/') + 1
	owner := strings.IndexByte(name[family:], '/')
	if owner < 0 {
		return name
	}
	return name[:family+owner]
}
