package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"tokend/clientlib"
	"tokend/cmd/tokend/doctor"
	"tokend/daemon"
)

func newDoctor(env *environment) *cobra.Command {
	a := &asker{env: env}
	var file string
	var asJSON, ask bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check everything between the configuration and WeChat",
		Long: `Check everything between the configuration and WeChat, and report what to do about each problem. On
this host: the configuration and its secret files, the state directory and its disk, the systemd
unit, the socket, this user's rights and the versions. In the daemon: what needs attention, the
address that WeChat refuses, whether pushes arrive, the last backup and descriptors. For each host
of WeChat: DNS, TCP, TLS and the clock.

Nothing is changed, and WeChat's API is not called. With --ask, the daemon makes one call for each
account whose secret has not been accepted yet, within WeChat's quotas. Run it as root: other users
cannot read everything.

The exit status is that of the first failed check: 1 a failure, 2 a mistake in the configuration,
3 no rights, 4 WeChat cannot be reached or does not push, 5 no daemon. Warnings do not change it.
With --json: an array with an object for each check.`,
		Example: "  sudo tokend doctor\n  sudo tokend doctor --ask",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.timeout <= 0 {
				return &usageError{text: "doctor: --timeout must be positive", command: cmd}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout)
			defer cancel()
			unit := unitOf(file)
			c, mistakes := loadConfigFor(file, asDaemon(file, unit))
			socket, clients := a.path(), ""
			if a.socket == "" && env.getenv("TOKEND_SOCKET") == "" && c != nil {
				socket, clients = c.Socket, c.Socket
				if operator := daemon.OperatorSocket(c.StateDir); os.Geteuid() == 0 && answers(operator) {
					socket = operator
				}
			}
			client := &clientlib.Client{Socket: socket, Timeout: a.timeout}
			defer client.Close()
			wrapped := func(err error) error { return &askError{err, socket, a.timeout} }
			d := &doctor.Doctor{
				File: file, Config: c, Mistakes: mistakes, Client: client, Socket: socket, Clients: clients, Version: version(),
				Message:  func(err error) string { return message(wrapped(err)) },
				Hint:     func(err error) string { return env.saying(hint(wrapped(err))) },
				Exit:     func(err error) int { return status(wrapped(err)) },
				Language: env.language(), Getenv: env.getenv, Ask: ask, Unit: unit,
			}
			if c != nil {
				for _, p := range c.Warnings {
					d.Warnings = append(d.Warnings, p.String())
				}
			}
			return env.examine(ctx, d, asJSON)
		},
	}
	a.flagsWithin(cmd, clientlib.DefaultTimeout)
	configFlag(cmd, &file)
	jsonFlag(cmd, &asJSON)
	cmd.Flags().BoolVar(&ask, "ask", false, "make one call for each account whose secret has not been accepted yet")
	return cmd
}

// statusError is the exit status of a command that has shown its failure.
type statusError int

func (statusError) Error() string { return "" }

// marks are the signs before a finding.
var marks = map[doctor.Level]struct {
	sign  string
	style style
}{
	doctor.OK: {"ok", green}, doctor.Warning: {"!", yellow}, doctor.Failed: {"x", red}, doctor.Skipped: {"-", dim},
}

// examine runs d and shows the findings.
func (env *environment) examine(ctx context.Context, d *doctor.Doctor, asJSON bool) error {
	s := env.screen()
	var objects []object
	count := map[doctor.Level]int{}
	exit := d.Run(ctx, func(f doctor.Finding) {
		count[f.Level]++
		if asJSON {
			objects = append(objects, object{{"check", f.Check}, {"subject", f.Subject}, {"status", string(f.Level)},
				{"exit", int64(f.Exit)}, {"text", f.Text}, {"remedy", f.Remedy}})
			return
		}
		mark := marks[f.Level]
		head := fmt.Sprintf("%s %-13s ", s.paint(mark.style, fmt.Sprintf("%-2s", mark.sign)), f.Check)
		if f.Subject != "" {
			head += f.Subject + ": "
		}
		s.println(head + f.Text)
		if f.Remedy != "" {
			s.wrapped(5, env.sayf("What to do: %s", f.Remedy))
		}
	})
	if asJSON {
		if err := printJSON(env.stdout, objects); err != nil {
			return err
		}
	} else {
		s.println("")
		if _, err := fmt.Fprintln(s.w, env.sayf("%d ok, %s, %d failed, %d skipped", count[doctor.OK], env.amount(count[doctor.Warning], "warning"), count[doctor.Failed], count[doctor.Skipped])); err != nil {
			return err
		}
	}
	if exit != exitDone {
		return statusError(exit)
	}
	return nil
}
