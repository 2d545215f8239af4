package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"tokend/cmd/tokend/demo"
	"tokend/daemon/advice"
)

func newDemo(env *environment) *cobra.Command {
	var lang string
	var hosts int
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Demonstrate tokend in 15 seconds, without installation",
		Long: `Demonstrate tokend with a local WeChat, a real daemon in a temporary directory, and many clients.
Each step prints what happened and how many calls to WeChat it cost, and compares the calls with
WeChat's own count. The exit status is 0 only if every check succeeds. All files are removed at the
end.

With --hosts, several hosts serve the same accounts and share their records in etcd. They run in
this process, with an etcd in memory: clients read and reject on all hosts at once, a host is killed
during a call to WeChat, another one takes over, and the killed one starts again. That takes about 20
seconds.`,
		Example: `  tokend demo
  tokend demo --hosts 3`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			chinese, err := speaksChinese(lang, env.getenv)
			if err != nil {
				return &usageError{text: "demo: " + err.Error(), command: cmd}
			}
			if cmd.Flags().Changed("hosts") && (hosts < demo.MinHosts || hosts > demo.MaxHosts) {
				return &usageError{text: fmt.Sprintf("demo: --hosts must be %d to %d, not %d", demo.MinHosts, demo.MaxHosts, hosts), command: cmd}
			}
			program, err := os.Executable()
			if err != nil {
				return err
			}
			// A closed terminal or pager must not leave a daemon running.
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGHUP)
			defer stop()
			signal.Ignore(syscall.SIGPIPE)
			ctx, hangUp := context.WithCancelCause(ctx)
			defer hangUp(nil)
			return demo.Run(ctx, demo.Config{Program: program, Hosts: hosts, Chinese: chinese, Out: audible{env.stdout, hangUp}})
		},
	}
	cmd.Flags().IntVar(&hosts, "hosts", 0, "demonstrate `N` hosts that share their accounts, 2 to 5 (default: one host)")
	_ = cmd.RegisterFlagCompletionFunc("hosts", cobra.FixedCompletions([]cobra.Completion{"2", "3", "4", "5"}, cobra.ShellCompDirectiveNoFileComp)) // fails only for an unknown flag
	cmd.Flags().StringVar(&lang, "lang", "", "the language, `en or zh` (default: that of the environment)")
	return cmd
}

// audible is an output that calls gone with the first write error.
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

// speaksChinese reports whether to print Chinese: by lang, or else by the locale.
func speaksChinese(lang string, getenv func(string) string) (bool, error) {
	switch lang {
	case "zh":
		return true, nil
	case "en":
		return false, nil
	case "":
		return (&environment{getenv: getenv}).language() == advice.Chinese, nil
	}
	return false, fmt.Errorf("--lang is en or zh, not %q", lang)
}
