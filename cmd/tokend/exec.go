package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"tokend/clientlib"
	"tokend/protocol"
)

// The shell's exit statuses for a command that cannot be started.
const (
	exitNotExecutable  = 126
	exitNoSuchCommand  = 127
	exitKilledBySignal = 128 // plus the number of the signal
)

func newExec(env *environment) *cobra.Command {
	x := &execution{asker: asker{env: env}}
	var inEnv, inFile []string
	cmd := &cobra.Command{
		Use:   "exec [--env VAR=NAME]... [--file VAR=NAME]... -- COMMAND [ARG...]",
		Short: "Run a command with values in its environment or in files",
		Long: `Get the value of each NAME once, then run COMMAND. With --env, the environment variable VAR holds the
value. With --file, VAR holds the path of a file that contains the value and nothing else. The file
has mode 0600 and is in a directory of its own, in memory if the host has /dev/shm. It is removed
when COMMAND ends.

Use it for commands that run for minutes. The values are not replaced while COMMAND runs: a service
asks the socket for each call instead. Processes that outlive COMMAND find no file.

Signals are forwarded to COMMAND. A SIGTSTP within a second after a SIGCONT does not stop COMMAND,
because their order is unknown. The exit status is that of COMMAND, or 128+n if signal n killed it;
126 if COMMAND cannot be executed, and 127 if it does not exist. If a value cannot be obtained,
COMMAND is not started.`,
		Example: `  tokend exec --env TOKEN=official_account/wx0123456789abcdef/access_token -- ./publish-menu
  tokend exec --file TOKEN_FILE=work/ww0123456789abcdef/1000002/access_token -- ./sync-contacts`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &usageError{text: "exec: COMMAND is missing", command: cmd}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := errors.Join(x.parse(cmd, inEnv, false), x.parse(cmd, inFile, true)); err != nil {
				return err
			}
			return x.run(cmd, args)
		},
	}
	x.flags(cmd)
	f := cmd.Flags()
	f.SetInterspersed(false) // what follows COMMAND is COMMAND's
	f.StringArrayVar(&inEnv, "env", nil, "set the variable to the value, as `VAR=NAME`; may be repeated")
	f.StringArrayVar(&inFile, "file", nil, "set the variable to the path of a file with the value, as `VAR=NAME`; may be repeated")
	for _, flag := range []string{"env", "file"} {
		_ = cmd.RegisterFlagCompletionFunc(flag, x.assignments) // fails only for an unknown flag
	}
	return cmd
}

// execution is one run of a command with values.
type execution struct {
	asker
	variables []variable
	dirs      []string // of the files, removed at the end
}

// variable is a variable of COMMAND's environment.
type variable struct {
	key    string
	name   string // of the credential
	inFile bool
}

var environmentKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// parse adds the variables of one flag. Its errors contain no malformed text, which may be a value.
func (x *execution) parse(cmd *cobra.Command, assignments []string, inFile bool) error {
	flag := "--env"
	if inFile {
		flag = "--file"
	}
	for _, a := range assignments {
		key, name, found := strings.Cut(a, "=")
		if !found || !environmentKey.MatchString(key) {
			return &usageError{text: "exec: " + flag + " must be VAR=NAME, with a VAR of letters, digits and underscores", command: cmd}
		}
		if !protocol.ValidName(name) {
			return &usageError{text: fmt.Sprintf("exec: %s %s: what follows = is not a credential's name", flag, key), command: cmd}
		}
		for _, v := range x.variables {
			if v.key == key {
				return &usageError{text: fmt.Sprintf("exec: %s is set twice", key), command: cmd}
			}
		}
		x.variables = append(x.variables, variable{key, name, inFile})
	}
	return nil
}

// run gets the values, runs COMMAND and returns its exit status as a statusError.
func (x *execution) run(cmd *cobra.Command, args []string) error {
	values, err := x.values(cmd)
	if err != nil {
		return err
	}
	// From here on, signals are COMMAND's. Those that arrived before have ended the context.
	var signals relay
	signals.begin()
	defer signals.end()
	if err := cmd.Context().Err(); err != nil {
		return context.Cause(cmd.Context())
	}
	path, err := findCommand(args[0])
	if err != nil {
		return err
	}
	command := &exec.Cmd{Path: path, Args: args, Stdin: x.env.stdin, Stdout: x.env.stdout, Stderr: x.env.stderr}
	command.Env, err = x.environ(values)
	if err == nil {
		err = runCommand(command, &signals)
	}
	return errors.Join(err, x.removeFiles())
}

// values returns the values by the names of their credentials. Each is requested once.
func (x *execution) values(cmd *cobra.Command) (map[string]clientlib.Secret, error) {
	values := make(map[string]clientlib.Secret)
	if len(x.variables) == 0 {
		return values, nil
	}
	return values, x.ask(cmd, func(ctx context.Context, c *clientlib.Client) error {
		for _, v := range x.variables {
			if _, known := values[v.name]; known {
				continue
			}
			got, err := c.Get(ctx, v.name)
			if err != nil {
				return &namedError{v.name, err}
			}
			values[v.name] = got.Value
		}
		return nil
	})
}

// namedError is an error about one of several names.
type namedError struct {
	name string
	err  error
}

func (e *namedError) Error() string { return e.err.Error() }
func (e *namedError) Unwrap() error { return e.err }

// environ returns COMMAND's environment and writes the files.
func (x *execution) environ(values map[string]clientlib.Secret) ([]string, error) {
	environ := os.Environ()
	for _, v := range x.variables {
		text := string(values[v.name])
		if v.inFile {
			var err error
			if text, err = x.writeFile(v.key, text); err != nil {
				return nil, err
			}
		}
		environ = append(environ, v.key+"="+text)
	}
	return environ, nil
}

// memoryDir is a directory that is not on a disk, on Linux.
const memoryDir = "/dev/shm"

// writeFile writes value to a file in a new directory and returns its path.
func (x *execution) writeFile(key, value string) (string, error) {
	dir, err := os.MkdirTemp(memoryDir, "tokend-exec-")
	if err != nil {
		dir, err = os.MkdirTemp("", "tokend-exec-")
	}
	if err != nil {
		return "", err
	}
	x.dirs = append(x.dirs, dir)
	path := filepath.Join(dir, key)
	return path, os.WriteFile(path, []byte(value), 0o600)
}

// removeFiles removes the files and their directories, also what COMMAND has put there.
func (x *execution) removeFiles() (err error) {
	for _, dir := range x.dirs {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

// findCommand returns the path of a command as a shell does: a name with a slash is a path, another
// is searched for in $PATH.
func findCommand(name string) (string, error) {
	path, err := exec.LookPath(name)
	switch {
	case err == nil, errors.Is(err, exec.ErrDot):
		return path, nil
	case errors.Is(err, exec.ErrNotFound) && inPath(name):
		err = fs.ErrPermission
	case errors.Is(err, exec.ErrNotFound):
		return "", errors.Join(fmt.Errorf("%s: command not found", name), statusError(exitNoSuchCommand))
	}
	return "", notStarted(name, err)
}

// inPath reports whether $PATH has a file with that name, executable or not.
func inPath(name string) bool {
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() {
			return true
		}
	}
	return false
}

// notStarted is the error of a command that cannot be started.
func notStarted(name string, err error) error {
	code := exitNotExecutable
	if errors.Is(err, fs.ErrNotExist) {
		code = exitNoSuchCommand
	}
	for _, cause := range []error{fs.ErrNotExist, fs.ErrPermission} {
		if errors.Is(err, cause) {
			err = cause
		}
	}
	return errors.Join(fmt.Errorf("%s: %w", name, err), statusError(code))
}

// runCommand runs command to its end. Its error is a statusError, or nil after success.
func runCommand(command *exec.Cmd, signals *relay) error {
	if err := command.Start(); err != nil {
		return notStarted(command.Args[0], err)
	}
	ended := make(chan struct{})
	var forwarding sync.WaitGroup
	forwarding.Go(func() { signals.forward(command.Process, ended) })
	err := command.Wait()
	close(ended)
	forwarding.Wait()
	if command.ProcessState == nil {
		return err
	}
	if status, ok := command.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return statusError(exitKilledBySignal + int(status.Signal()))
	}
	if code := command.ProcessState.ExitCode(); code != exitDone {
		return statusError(code)
	}
	return nil
}

// assignments completes VAR=NAME after the equals sign.
func (x *execution) assignments(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	key, prefix, found := strings.Cut(begun, "=")
	if !found {
		return nil, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	names, directive := x.names(cmd, nil, prefix)
	for i, name := range names {
		names[i] = key + "=" + name
	}
	return names, directive
}
