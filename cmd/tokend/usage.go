package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usageError is a wrong command line.
type usageError struct {
	text    string
	command *cobra.Command // its --help is the hint; never nil
	suggest string         // a similar correct word, or ""
}

func (e *usageError) Error() string { return e.text }

func (e *usageError) hint() string {
	if e.suggest != "" {
		return fmt.Sprintf("did you mean %q?", e.suggest)
	}
	return e.command.CommandPath() + " --help"
}

// takes returns a check of a command's arguments: one for each word. A word in brackets is
// optional.
func takes(words ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > len(words) {
			extra := args[len(words)]
			if len(words) == 2 {
				// The argument after a value may be part of a secret.
				return &usageError{text: fmt.Sprintf("%s: too many arguments", cmd.Name()), command: cmd}
			}
			return &usageError{text: fmt.Sprintf("%s: unexpected argument %q", cmd.Name(), extra), command: cmd}
		}
		if rest := words[len(args):]; len(rest) > 0 && !strings.HasPrefix(rest[0], "[") {
			return &usageError{text: fmt.Sprintf("%s: %s is missing", cmd.Name(), rest[0]), command: cmd}
		}
		return nil
	}
}

// noSuchCommand is the check of the root command, which has no arguments.
func noSuchCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	e := &usageError{text: fmt.Sprintf("unknown command %q", args[0]), command: root}
	for _, letters := range []int{1, 2} { // differing letters: the nearest command first
		root.SuggestionsMinimumDistance = letters
		if near := root.SuggestionsFor(args[0]); len(near) > 0 {
			e.suggest = root.Name() + " " + near[0]
			break
		}
	}
	return e
}

// helpIsThere is the check of help's arguments. Without it, help for a misspelled command would
// print the root's help.
func helpIsThere(help *cobra.Command, args []string) error {
	root := help.Root()
	found, rest, err := root.Find(args)
	switch {
	case len(args) > 0 && (err != nil || found == root):
		return noSuchCommand(root, args)
	case len(rest) > 0:
		return &usageError{text: fmt.Sprintf("help: unexpected argument %q", rest[0]), command: help}
	}
	return nil
}

// flagError returns a usage error for a wrong flag. After an unknown command every flag is unknown,
// so the error names the command.
func flagError(cmd *cobra.Command, err error) error {
	if before := cmd.Flags().Args(); cmd == cmd.Root() && len(before) > 0 {
		return noSuchCommand(cmd, before)
	}
	text := err.Error()
	if wrong, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		text = wrongValue(wrong)
	}
	if cmd != cmd.Root() {
		text = cmd.Name() + ": " + text
	}
	return &usageError{text: text, command: cmd}
}

// wrongValue says what a flag takes that has got another value. pflag's own text names the function
// that failed.
func wrongValue(wrong *pflag.InvalidValueError) string {
	name, takes := wrong.GetFlag().Name, ""
	switch wrong.GetFlag().Value.Type() {
	case "int", "int64":
		takes = "a whole number"
	case "uint64":
		takes = "a whole number that is not negative"
	case "float64":
		takes = "a number"
	case "duration":
		takes = "a duration such as 30s"
	case "bool":
		takes = "true or false"
	default:
		return wrong.Error()
	}
	if errors.Is(wrong, strconv.ErrRange) {
		return fmt.Sprintf("the value of --%s is out of range: %q", name, wrong.GetValue())
	}
	return fmt.Sprintf("--%s takes %s, not %q", name, takes, wrong.GetValue())
}
