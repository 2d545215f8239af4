package main

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"tokend/daemon/config"
)

// configError is a configuration with mistakes. Its text has one line per mistake.
type configError struct {
	file string
	err  error
}

func (e *configError) Error() string { return e.err.Error() }
func (e *configError) Unwrap() error { return e.err }

// text returns the problems for a terminal: each one's line of the file is below it.
func (e *configError) text() string {
	problems, ok := errors.AsType[config.Problems](e.err)
	if !ok {
		return e.Error()
	}
	var b strings.Builder
	for _, p := range problems {
		b.WriteString(p.String() + "\n")
		for line := range strings.Lines(p.Excerpt) {
			b.WriteString(excerptIndent + strings.TrimSuffix(line, "\n") + "\n")
		}
	}
	return b.String()
}

// excerptIndent begins a line of an excerpt, which report does not prefix with the program's name.
const excerptIndent = "    "

func (e *configError) hint() string {
	if errors.Is(e.err, fs.ErrNotExist) {
		return "name a file with --config, or create a working one: tokend sandbox --config-out FILE; for a demonstration: tokend demo"
	}
	if errors.Is(e.err, fs.ErrPermission) {
		return "it may contain secrets and is not readable for every user: use sudo, or run as the daemon's user"
	}
	if info, err := os.Stat(e.file); err == nil && info.IsDir() {
		return "name the file in it with --config"
	}
	if _, ok := errors.AsType[config.Problem](e.err); ok {
		return "fix them, then: tokend check --config " + e.file
	}
	return ""
}

func configFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "config", "c", config.DefaultFile, "the configuration `FILE`")
	_ = cmd.MarkFlagFilename("config", "toml") // fails only for an unknown flag
}

// loadConfig reads the configuration. Its error is a *configError.
func loadConfig(file string) (*config.Config, error) { return loadConfigFor(file, config.OSEnv()) }

// loadConfigFor is loadConfig with an environment.
func loadConfigFor(file string, env config.Env) (*config.Config, error) {
	c, err := config.Load(file, env)
	if err != nil {
		return nil, &configError{file, err}
	}
	return c, nil
}
