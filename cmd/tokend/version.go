package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

func newVersion(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Args:  takes(),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprint(env.stdout, versionLine())
			return err
		},
	}
}

// versionLine is what "tokend version" prints, and "tokend --version", which many try first.
func versionLine() string {
	return fmt.Sprintf("tokend %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// version returns what the build knows of itself, as one word: the module's version, "devel"
// for a build from a tree without one.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	v := strings.TrimPrefix(info.Main.Version, "v")
	if v == "(devel)" {
		v = ""
	}
	return cmp.Or(v, "devel")
}
