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

// versionLine is the output of "tokend version" and "tokend --version".
func versionLine() string {
	return fmt.Sprintf("tokend %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// version returns the module's version as one word, or "devel" for a build without one.
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
