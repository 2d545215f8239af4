package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// The linker sets these for make build, and leaves them empty for go build. release is the version
// without a v. date is the commit's, in RFC 3339.
var release, commit, date string

func newVersion(env *environment) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Args:  takes(),
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return printJSON(env.stdout, []object{thisBuild().object()})
			}
			_, err := fmt.Fprint(env.stdout, versionLine())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print an array of one object")
	return cmd
}

// build is what a program was built from.
type build struct {
	version, commit, date string // the last two are "" if unknown
}

// thisBuild returns what the linker has set, else what the go command has recorded.
func thisBuild() build {
	b := build{version: release, commit: commit, date: date}
	if info, ok := debug.ReadBuildInfo(); ok {
		recorded := build{version: strings.TrimPrefix(info.Main.Version, "v")}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				recorded.commit = s.Value[:min(12, len(s.Value))]
			case "vcs.time":
				recorded.date = s.Value
			}
		}
		if recorded.version == "(devel)" {
			recorded.version = ""
		}
		b.version = cmp.Or(b.version, recorded.version)
		if b.commit == "" {
			b.commit, b.date = recorded.commit, recorded.date
		}
	}
	b.version = cmp.Or(b.version, "devel")
	return b
}

func (b build) object() object {
	return object{
		{"version", b.version},
		{"commit", cmp.Or(b.commit, "-")},
		{"date", cmp.Or(b.date, "-")},
		{"go", runtime.Version()},
		{"os", runtime.GOOS},
		{"arch", runtime.GOARCH},
	}
}

// versionLine is the output of "tokend version" and "tokend --version".
func versionLine() string {
	b := thisBuild()
	line := fmt.Sprintf("tokend %s %s %s/%s", b.version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if b.commit != "" {
		line += fmt.Sprintf(", commit %s of %s", b.commit, b.date)
	}
	return line + "\n"
}

// version returns the version as one word, or "devel" for a build without one.
func version() string { return thisBuild().version }
