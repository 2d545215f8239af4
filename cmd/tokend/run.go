package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// environment is all that a command takes from the process it runs in, but for files, sockets
// and, in serve, signals.
type environment struct {
	getenv func(string) string
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer

	// finish, if not nil, is called once the last error has been written: serve has a log to end.
	finish func()
}

// run carries out one command line, without the program's name, and returns the exit
// status. ctx ends when the command is to stop.
func run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	env := &environment{getenv: getenv, stdin: stdin, stdout: stdout, stderr: stderr}
	root := newRoot(env)
	root.InitDefaultHelpCmd()
	if help, _, err := root.Find([]string{"help"}); err == nil {
		help.Args = helpIsThere
	}
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	// If nobody reads standard error, an interrupted command ends all the same.
	_, _ = within(ctx, interruptGrace, func() (struct{}, error) { report(env.stderr, err); return struct{}{}, nil })
	if env.finish != nil {
		env.finish()
	}
	return status(err)
}

// report writes err, a line for each thing that is wrong, and what to do about it.
func report(w io.Writer, err error) {
	if err == nil {
		return
	}
	for line := range strings.Lines(message(err)) {
		if line = strings.TrimSpace(line); line != "" { // some libraries end their texts with a newline
			fmt.Fprintf(w, "tokend: %s\n", line)
		}
	}
	if h := hint(err); h != "" {
		fmt.Fprintf(w, "hint: %s\n", h)
	}
}

// newRoot returns the tree of all commands.
func newRoot(env *environment) *cobra.Command {
	root := &cobra.Command{
		Use:   "tokend",
		Short: "Keeps WeChat and WeCom credentials for every process of a host",
		Long: `tokend keeps the WeChat and WeCom credentials of a host. One daemon fetches, stores and
refreshes them; every other process asks it over a Unix socket and gets a value that is
valid now.

See it at work, with nothing installed and no account:   tokend demo`,
		SilenceErrors: true, // run reports them
		SilenceUsage:  true,
		Args:          noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(env.stderr)
			_ = cmd.Help()
			return &usageError{text: "a command is missing", command: cmd}
		},
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.Version = version()
	root.SetVersionTemplate(versionLine())
	root.SetFlagErrorFunc(flagError)
	root.AddGroup(
		&cobra.Group{ID: "daemon", Title: "The daemon:"},
		&cobra.Group{ID: "ask", Title: "Ask the daemon:"},
		&cobra.Group{ID: "give", Title: "Hand in what WeChat and its customers give:"},
		&cobra.Group{ID: "keep", Title: "Keep and move what it holds:"},
		&cobra.Group{ID: "try", Title: "Try it out:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			c.DisableFlagsInUseLine = true
			if name := c.Name(); name != "serve" && name != "demo" { // these have a daemon to stop
				interruptible(c)
			}
			root.AddCommand(c)
		}
	}
	add("daemon", newServe(env), newCheck(env), newReload(env))
	add("ask", newGet(env), newReject(env), newRefresh(env), newList(env), newStatus(env), newHistory(env), newWatch(env))
	add("give", newPut(env), newExchange(env), newImport(env))
	add("keep", newBackup(env), newRestore(env), newRekey(env))
	add("try", newSandbox(env), newDemo(env), newBench(env))
	root.AddCommand(newVersion(env))
	return root
}
