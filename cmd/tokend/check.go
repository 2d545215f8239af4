package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"tokend/daemon/config"
)

func newCheck(env *environment) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Read the configuration and report every mistake",
		Long: `Read the configuration as serve does, including secrets in files, environment variables and
systemd credentials, and report every mistake with its line. It opens no store or socket and makes
no calls.`,
		Args: takes(),
		RunE: func(*cobra.Command, []string) error {
			c, err := loadConfig(file)
			if err != nil {
				return err
			}
			for _, p := range c.Warnings {
				fmt.Fprintf(env.stderr, "tokend: warning: %s\n", p)
			}
			_, err = fmt.Fprintf(env.stdout, "%s: ok: %s\n", file, plural(accounts(c), "account"))
			return err
		},
	}
	configFlag(cmd, &file)
	return cmd
}

// accounts returns the number of accounts in c: apps, platforms, providers and suites.
func accounts(c *config.Config) int {
	n := len(c.OfficialAccounts) + len(c.MiniPrograms) + len(c.OpenPlatforms) + len(c.Work) + len(c.OpenWork)
	for _, w := range c.OpenWork {
		n += len(w.Suites)
	}
	return n
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
