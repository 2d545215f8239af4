package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// environment is what a command uses of its process, except for files, sockets and, in serve,
// signals.
type environment struct {
	getenv func(string) string
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer

	// sockets are systemd's sockets; nil except in serve.
	sockets *unstarted

	// finish, if not nil, is called after the last error has been written: it ends serve's log.
	finish func()
}

// run executes one command line, without the program's name, and returns the exit status. ctx ends
// when the command should stop.
func run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	env := &environment{getenv: getenv, stdin: stdin, stdout: stdout, stderr: stderr}
	if len(args) > 0 && args[0] == "serve" {
		env.sockets = holdSockets()
	}
	root := newRoot(env)
	root.InitDefaultHelpCmd()
	if help, _, err := root.Find([]string{"help"}); err == nil {
		help.Args = helpIsThere
	}
	env.localize(root)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	// An interrupted command ends even if nothing reads standard error.
	_, _ = within(ctx, interruptGrace, func() (struct{}, error) { report(env, env.stderr, err); return struct{}{}, nil })
	if env.finish != nil {
		env.finish()
	}
	if err != nil {
		env.sockets.refuse(ctx, retryAfterStart(err))
	}
	return status(err)
}

// retryAfterStart returns when a client may ask again after a start has failed with err. Mistakes
// in the configuration or the command line need an operator. After other errors systemd starts the
// daemon again.
func retryAfterStart(err error) string {
	if status(err) == exitUsage {
		return "-"
	}
	return "1"
}

// report writes err, one line for each mistake, and a hint.
func report(env *environment, w io.Writer, err error) {
	if err == nil {
		return
	}
	for line := range strings.Lines(message(err)) {
		if strings.HasPrefix(line, excerptIndent) {
			fmt.Fprint(w, line)
		} else if line = strings.TrimSpace(line); line != "" { // some libraries end their texts with a newline
			fmt.Fprintf(w, "tokend: %s\n", line)
		}
	}
	if h := hint(err); h != "" {
		fmt.Fprintf(w, env.say("hint: %s\n"), env.saying(h))
	}
}

// newRoot returns the tree of all commands.
func newRoot(env *environment) *cobra.Command {
	var showVersion bool
	root := &cobra.Command{
		Use:   "tokend",
		Short: "Serve WeChat and WeCom credentials to every process on a host",
		Long: `tokend fetches, stores, refreshes and serves WeChat and WeCom credentials for every process on a
host. All processes get valid values over a Unix socket.

For a demonstration without installation or account:   tokend demo`,
		SilenceErrors: true, // run reports errors
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if showVersion {
				return nil
			}
			return noSuchCommand(cmd, args)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if showVersion {
				_, err := fmt.Fprint(env.stdout, versionLine())
				return err
			}
			cmd.SetOut(env.stderr)
			_ = cmd.Help()
			return &usageError{text: "a command is missing", command: cmd}
		},
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.Flags().BoolVarP(&showVersion, "version", "v", false, "print the version")
	root.SetFlagErrorFunc(flagError)
	root.AddGroup(
		&cobra.Group{ID: "daemon", Title: "Daemon:"},
		&cobra.Group{ID: "ask", Title: "Client:"},
		&cobra.Group{ID: "give", Title: "Tickets and grants:"},
		&cobra.Group{ID: "keep", Title: "Backup and key:"},
		&cobra.Group{ID: "try", Title: "Development:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			c.DisableFlagsInUseLine = true
			if name := c.Name(); name != "serve" && name != "demo" && name != "exec" { // they stop what they started
				interruptible(c)
			}
			root.AddCommand(c)
		}
	}
	add("daemon", newServe(env), newCheck(env), newReload(env), newDoctor(env))
	add("ask", newGet(env), newExec(env), newReject(env), newRefresh(env), newSign(env), newList(env), newStatus(env), newHistory(env), newWatch(env))
	add("give", newPut(env), newExchange(env), newImport(env))
	add("keep", newBackup(env), newRestore(env), newRekey(env))
	add("try", newSandbox(env), newDemo(env), newBench(env))
	root.AddCommand(newVersion(env))
	return root
}
