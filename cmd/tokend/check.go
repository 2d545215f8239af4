package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newCheck(env *environment) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Read the configuration and report every mistake",
		Long: `Read the configuration as serve does, including secrets in files, environment variables and
systemd credentials, and report every mistake with its line. It opens no store or socket and makes
no calls.

It also judges the owners and modes of the files, the socket's directory, the state directory and
all directories above them, for the user of tokend.service if that unit uses the file. Each finding
names the command that fixes it. Run it as root: other users cannot read every file.`,
		Args: takes(),
		RunE: func(*cobra.Command, []string) error {
			c, err := loadConfigFor(file, asDaemon(file, unitOf(file)))
			if err != nil {
				return err
			}
			for _, p := range c.Warnings {
				fmt.Fprintf(env.stderr, "tokend: warning: %s\n", p)
			}
			_, err = fmt.Fprintf(env.stdout, "%s: ok: %s\n", file, plural(c.Accounts(), "account"))
			return err
		},
	}
	configFlag(cmd, &file)
	return cmd
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
