package main

import (
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"tokend/daemon/config"
)

// configError is a configuration that cannot be used. Its text is a line for each
// problem.
type configError struct {
	file string
	err  error
}

func (e *configError) Error() string { return e.err.Error() }
func (e *configError) Unwrap() error { return e.err }

func (e *configError) hint() string {
	if errors.Is(e.err, fs.ErrNotExist) {
		return "name a file with --config, or begin with one that works at once: tokend sandbox --config-out FILE; to see what this is about: tokend demo"
	}
	if errors.Is(e.err, fs.ErrPermission) {
		return "it may hold secrets and is not for every user to read: sudo, or be the user that the daemon runs as"
	}
	if info, err := os.Stat(e.file); err == nil && info.IsDir() {
		return "name the file in it with --config"
	}
	if _, ok := errors.AsType[config.Problem](e.err); ok {
		return "once they are put right: tokend check --config " + e.file
	}
	return ""
}

func configFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "config", "c", config.DefaultFile, "the configuration `FILE`")
	_ = cmd.MarkFlagFilename("config", "toml") // it errs on an unknown flag only
}

// loadConfig reads the configuration. Its error is a *configError.
func loadConfig(file string) (*config.Config, error) {
	c, err := config.Load(file, config.OSEnv())
	if err != nil {
		return nil, &configError{file, err}
	}
	return c, nil
}
