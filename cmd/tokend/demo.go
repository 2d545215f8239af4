package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"tokend/cmd/tokend/demo"
)

func newDemo(env *environment) *cobra.Command {
	var lang string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show all of it at work, in a quarter of a minute, with nothing installed",
		Long: `Show what tokend is for: a local WeChat, a real daemon in a temporary directory, and many clients. Every
step says what happened and what it cost in calls to WeChat, and is checked against what WeChat has counted.
The exit status is 0 only if everything was as it should be. Everything is removed at the end.`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			chinese, err := speaksChinese(lang, env.getenv)
			if err != nil {
				return &usageError{text: "demo: " + err.Error(), command: cmd}
			}
			program, err := os.Executable()
			if err != nil {
				return err
			}
			// Neither a closed terminal nor a pager that has ended must leave a daemon behind.
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGHUP)
			defer stop()
			signal.Ignore(syscall.SIGPIPE)
			ctx, hangUp := context.WithCancelCause(ctx)
			defer hangUp(nil)
			return demo.Run(ctx, demo.Config{Program: program, Chinese: chinese, Out: audible{env.stdout, hangUp}})
		},
	}
	cmd.Flags().StringVar(&lang, "lang", "", "the language, `en or zh` (default: that of the environment)")
	return cmd
}

// audible is an output that calls gone with the error of its first write that fails.
type audible struct {
	io.Writer
	gone func(error)
}

func (a audible) Write(p []byte) (int, error) {
	n, err := a.Writer.Write(p)
	if err != nil {
		a.gone(err)
	}
	return n, err
}

// speaksChinese reports whether to speak Chinese: by lang, or where that is empty by the
// locale of the environment (locale(7): LC_ALL, then LC_MESSAGES, then LANG).
func speaksChinese(lang string, getenv func(string) string) (bool, error) {
	switch lang {
	case "zh":
		return true, nil
	case "en":
		return false, nil
	case "":
		return strings.HasPrefix(cmp.Or(getenv("LC_ALL"), getenv("LC_MESSAGES"), getenv("LANG")), "zh"), nil
	}
	return false, fmt.Errorf("--lang is en or zh, not %q", lang)
}
