package config

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
)

// Load reads the configuration in file. The error is [Problems], with all problems, or the reason
// why the file cannot be read.
func Load(file string, env Env) (*Config, error) {
	f, err := env.Open(file)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", env.unreadable(file, err))
	}
	data, info, err := read(f, maxFile)
	if _, ok := errors.AsType[tooLongError](err); ok {
		return nil, fmt.Errorf("configuration: %s has %s, the limit is %d MiB: remove comments, and customers "+
			"([[open_platform.authorizer]], [[open_work.suite.corp]]) whose grants tokend has stored", file, sizeOf(info), maxFile>>20)
	}
	if err != nil {
		return nil, fmt.Errorf("configuration: %s %w", file, withoutPath(err))
	}
	return decode(file, data, info, env)
}

// sizeOf returns the size of a file that is longer than maxFile. A device or a pipe has no size.
func sizeOf(info fs.FileInfo) string {
	if !info.Mode().IsRegular() {
		return fmt.Sprintf("more than %d bytes", maxFile)
	}
	return fmt.Sprintf("%d bytes", info.Size())
}

// Parse is like [Load] for a file with the content data.
func Parse(file string, data []byte, env Env) (*Config, error) {
	return decode(file, data, nil, env)
}

// decode reads a configuration. info is nil if it is in no file.
func decode(file string, data []byte, info fs.FileInfo, env Env) (*Config, error) {
	p := &pace{pause: env.Pause}
	root, bad := parse(data, p)
	if bad != nil {
		bad.File = file
		return nil, Problems{*bad}
	}
	r := &reader{file: file, root: root, env: env, pace: p}
	c := r.config()
	if info != nil {
		if why := env.refused(file, info); why != "" {
			r.reportf(0, "%s", why)
		}
		if remedy := env.exposed(file, info); r.inline && remedy != "" {
			r.warnf(0, "holds secrets and every user of this host can read it: %s", remedy)
		}
	}
	byLine(r.problems)
	byLine(r.warnings)
	if len(r.problems) > 0 {
		return nil, Problems(r.problems)
	}
	c.Warnings = r.warnings
	return c, nil
}

// config reads the top-level table and everything below it.
func (r *reader) config() *Config {
	t := &table{reader: r, node: r.root}
	c := &Config{
		File:          r.file,
		Socket:        t.socket("socket"),
		SocketMode:    t.mode("socket_mode", 0o660),
		StateDir:      t.absolute("state_dir", "/var/lib/tokend"),
		EncryptionKey: t.encryptionKey("encryption_key"),
		LogLevel:      t.word("log_level", "info", "trace", "debug", "info", "warn", "error"),
		LogFormat:     t.word("log_format", "text", "text", "json"),
	}
	c.HTTP = t.http()
	c.Pages = t.pages(c)
	c.Limits = t.limits()
	c.Upstream = t.upstream()
	c.OfficialAccounts = t.apps("official_account", c.Upstream)
	c.MiniPrograms = t.apps("mini_program", c.Upstream)
	c.OpenPlatforms = t.openPlatforms(c.Upstream)
	c.Work = t.work(c.Upstream)
	c.OpenWork = t.openWork(c.Upstream)
	c.Access = t.access()
	c.Aliases = t.aliases()
	t.done()
	t.places(c)
	r.doubts(c)
	return c
}

// doubts warns about settings that are valid and probably mistakes.
func (r *reader) doubts(c *Config) {
	if len(c.OfficialAccounts)+len(c.MiniPrograms)+len(c.OpenPlatforms)+len(c.Work)+len(c.OpenWork) == 0 && len(r.problems) == 0 {
		r.warnf(0, "configures no account")
	}
	if len(c.Access) == 0 && c.SocketMode&0o002 != 0 {
		line := 0
		if mode := r.root.value("socket_mode"); mode != nil {
			line = mode.line
		}
		r.warnf(line, "socket_mode %04o: every user of this host can read every credential: write [[access]] rules, or set 0660", uint32(c.SocketMode))
	}
	for _, w := range c.Work {
		r.pace.step()
		if _, err := strconv.ParseUint(w.AgentID, 10, 64); err != nil && w.AgentID != "" && len(r.problems) == 0 {
			r.warnf(w.Line, "[[work]] agent_id %q is no number: an app's AgentId in WeCom's console is one, such as 1000002; a word is right only for a secret without an app, such as contact sync", clip(w.AgentID))
		}
	}
	if len(c.MiniPrograms) == 0 {
		return
	}
	official := make(map[string]int, len(c.OfficialAccounts)) // line, by appid
	for _, o := range c.OfficialAccounts {
		official[o.AppID] = o.Line
		r.pace.step()
	}
	for _, m := range c.MiniPrograms {
		r.pace.step()
		if line, both := official[m.AppID]; both && m.AppID != "" {
			r.warnf(m.Line, "[[mini_program]] %s is also an [[official_account]] (line %d): an appid is one or the other, and a fetch for one may invalidate the other's token", m.AppID, line)
		}
	}
}
