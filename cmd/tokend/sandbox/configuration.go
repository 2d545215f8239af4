package sandbox

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Configuration is a configuration of tokend for a sandbox.
type Configuration struct {
	Dir      string // absolute; contains the socket and the state
	URL      string // of the sandbox
	Accounts []Account
	Owners   []Owner
	HTTP     string // host:port for pushes to the owners; empty for none
	LogLevel string // empty for the default
}

// Socket returns the path of the daemon's socket.
func (c Configuration) Socket() string { return filepath.Join(c.Dir, "tokend.sock") }

// TOML returns the configuration file.
func (c Configuration) TOML() string {
	var b strings.Builder
	fmt.Fprintf(&b, "socket    = %q\n", c.Socket())
	fmt.Fprintf(&b, "state_dir = %q\n", filepath.Join(c.Dir, "state"))
	if c.LogLevel != "" {
		fmt.Fprintf(&b, "log_level = %q\n", c.LogLevel)
	}
	fmt.Fprintf(&b, "\n[upstream]\nweixin_url = %q\nwork_url   = %q\n", c.URL, c.URL)
	if c.HTTP != "" {
		fmt.Fprintf(&b, "\n[http]\nlisten = %q\n", c.HTTP)
	}
	for _, a := range c.Accounts {
		b.WriteString("\n" + a.toml())
		c.owners(&b, a.ID)
	}
	c.owners(&b, "")
	return b.String()
}

// owners writes the suites of a provider, or the platforms if provider is "".
func (c Configuration) owners(b *strings.Builder, provider string) {
	for _, o := range c.Owners {
		if o.Provider == provider {
			b.WriteString("\n" + o.toml())
		}
	}
}

// Callback returns the URL for pushes to o.
func (c Configuration) Callback(o Owner) string { return "http://" + c.HTTP + "/callback/" + o.Path() }
