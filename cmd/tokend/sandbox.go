package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"tokend/cmd/tokend/sandbox"
)

func newSandbox(env *environment) *cobra.Command {
	s := &sandboxCommand{env: env}
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Run a local WeChat for development",
		Long: `Run a local WeChat with accounts of every kind until interrupted. The sandbox prints a configuration
for tokend, each call as it arrives, and a summary at the end. Token rotation and expiry, quotas and
errcodes follow WeChat's rules.

As soon as tokend listens, the sandbox pushes signed and encrypted tickets and events to the
platform and the suites: tickets at WeChat's interval, one customer's authorization at the start,
and other events by command. Further commands make WeChat refuse a token, act as a business API and
count the calls. The sandbox lists the commands.

A --fault makes calls fail as WeChat's calls fail. It is a comma-separated list of
` + sandbox.FaultWords + `
If several --fault match a call, the first applies.`,
		Example: `  tokend sandbox --config-out /tmp/wx/tokend.toml        # in one terminal
  tokend serve --config /tmp/wx/tokend.toml              # in another
  tokend get --socket /tmp/wx/tokend.sock official_account/wxsandboxofficial/access_token

  tokend sandbox --expires-in 60s --latency 200ms
  tokend sandbox --fault errcode=45009,endpoint=/cgi-bin/token,times=3 --fault status=502,account=wxsandboxmini`,
		Args: takes(),
		RunE: s.run,
	}
	f := cmd.Flags()
	f.StringVar(&s.cfg.Listen, "listen", sandbox.DefaultListen, "`HOST:PORT` to listen on")
	f.StringVar(&s.cfg.Callback, "callback", sandbox.DefaultCallback, "`HOST:PORT` of tokend's [http], for pushes")
	f.BoolVar(&s.cfg.Remote, "allow-remote", false, "listen on an address that other hosts can reach")
	f.DurationVar(&s.cfg.Lifetime, "expires-in", 2*time.Hour, "lifetime of tokens and tickets")
	f.DurationVar(&s.cfg.Latency, "latency", 0, "delay of each answer")
	f.StringArrayVar(&s.faults, "fault", nil, "a `FAULT` as above; may be repeated")
	f.BoolVar(&s.cfg.AnyAccount, "any-account", false, "also accept unknown accounts, with the secret of their first call")
	f.BoolVar(&s.cfg.ExpiredIsInvalid, "expired-is-invalid", false, "answer 40014, not 42001, for an expired WeCom token")
	f.BoolVar(&s.cfg.ShuffleEvents, "shuffle-events", false, "push the elements of events in random order")
	f.Uint64Var(&s.cfg.Seed, "seed", 0, "with the same `NUMBER`, values and orders are the same in each run; 0 means random")
	f.StringVar(&s.out, "config-out", "", "write the configuration to `FILE`; the socket and the state use the same directory")
	_ = cmd.MarkFlagFilename("config-out", "toml") // fails only for an unknown flag
	return cmd
}

type sandboxCommand struct {
	env    *environment
	cfg    sandbox.Config
	faults []string
	out    string
}

func (s *sandboxCommand) run(cmd *cobra.Command, _ []string) error {
	if s.cfg.Lifetime < time.Second || s.cfg.Latency < 0 {
		return &usageError{text: "sandbox: --expires-in must be at least 1s, and --latency must not be negative", command: cmd}
	}
	for _, flag := range [][2]string{{"--listen", s.cfg.Listen}, {"--callback", s.cfg.Callback}} {
		if !isHostPort(flag[1]) {
			return &usageError{text: fmt.Sprintf("sandbox: %s %q: it must be host:port", flag[0], flag[1]), command: cmd}
		}
	}
	for _, text := range s.faults {
		f, err := sandbox.ParseFault(text)
		if err != nil {
			return &usageError{text: "sandbox: --fault " + err.Error(), command: cmd}
		}
		s.cfg.Faults = append(s.cfg.Faults, f)
	}
	s.cfg.Out = s.env.stdout
	box, err := sandbox.Start(s.cfg)
	switch {
	case errors.Is(err, sandbox.ErrNotLoopback):
		return &usageError{text: "sandbox: " + err.Error(), command: cmd, suggest: "--allow-remote"}
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s is in use: stop the other sandbox, or choose another address with --listen", s.cfg.Listen)
	case err != nil:
		return err
	}
	ctx := cmd.Context()
	if err := s.introduce(box); err != nil {
		return errors.Join(err, box.Close())
	}
	return box.Run(ctx)
}

// isHostPort reports whether addr is a host, which may be empty, and a port number.
func isHostPort(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// introduce prints how to use the sandbox.
func (s *sandboxCommand) introduce(box *sandbox.Sandbox) error {
	c := sandbox.Configuration{
		Dir: s.dir(), URL: box.URL, Accounts: sandbox.Accounts(),
		Owners: sandbox.Owners(), HTTP: s.cfg.Callback,
	}
	file := filepath.Join(c.Dir, "tokend.toml")
	w := s.env.stdout
	fmt.Fprintf(w, "A local WeChat at %s. Stop it with Ctrl-C.\n\n", box.URL)
	if s.out != "" {
		var err error
		if file, err = writeConfiguration(s.out, c); err != nil {
			return err
		}
		fmt.Fprintf(w, "The configuration for tokend is in %s.\n\n", file)
	} else {
		fmt.Fprintf(w, "The configuration for tokend. Save it as %s,\nor use --config-out %s:\n\n%s\n", file, file, c.TOML())
	}
	o := c.Owners[0]
	fmt.Fprintf(w, "In other terminals:\n\n  tokend serve --config %s\n  tokend get --socket %s %s\n  tokend get --socket %s %s/%s/access_token\n\n",
		file, c.Socket(), c.Accounts[0].Names()[0], c.Socket(), o.Path(), o.Customer)
	fmt.Fprintf(w, "Commands for the platform and the suites:\n\n")
	for _, line := range box.Controls() {
		fmt.Fprintf(w, "  %s\n", line)
	}
	_, err := fmt.Fprintf(w, "\nCalls and pushes:\n\n")
	return err
}

// dir returns the directory for socket and state. This user can create it, and others cannot read
// it.
func (s *sandboxCommand) dir() string {
	if s.out != "" {
		// A path without an absolute form cannot be written to either.
		if abs, err := filepath.Abs(s.out); err == nil {
			return filepath.Dir(abs)
		}
	}
	if dir := s.env.getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "tokend-sandbox")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("tokend-sandbox-%d", os.Getuid()))
}

// writeConfiguration writes c to file and returns the absolute path. It creates the directory if
// needed, and does not replace a file with another content. A program that waits for the file never
// reads a part of it.
func writeConfiguration(file string, c sandbox.Configuration) (string, error) {
	file, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	text := []byte(c.TOML())
	switch before, err := os.ReadFile(file); {
	case err == nil && bytes.Equal(before, text):
		return file, nil
	case err == nil:
		return "", fmt.Errorf("%s already exists with another content and is left unchanged", file)
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return "", err
	}
	return file, writeNew(file, false, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}
