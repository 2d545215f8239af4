package main

import (
	"bytes"
	"log"
	"slices"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
	"github.com/hashicorp/go-hclog"

	"tokend/daemon/config"
	"tokend/daemon/logqueue"
)

// logPatience is how long the process waits for the reader of the log when it ends.
const logPatience = time.Second

// serviceLog is the daemon's log: standard error in the configured form, behind a queue, so that
// nothing waits for its reader.
type serviceLog struct {
	hclog.Logger
	audit hclog.Logger // the same log; a full queue drops its lines last
	queue *logqueue.Queue
}

// newServiceLog returns the daemon's log. From then on everything that env writes to standard error
// passes the queue, and env.finish ends the queue.
func newServiceLog(env *environment, c *config.Config) *serviceLog {
	journaled, _ := journal.StderrIsJournalStream() // on an error: not the journal
	options := hclog.LoggerOptions{
		Name:        "tokend",
		Level:       hclog.LevelFromString(c.LogLevel),
		JSONFormat:  c.LogFormat == "json",
		DisableTime: journaled && c.LogFormat != "json", // the journal adds its own time
	}
	queue := logqueue.New(logqueue.Config{Out: env.stderr, Lost: func(n int64) []byte {
		var line bytes.Buffer
		o := options
		o.Output, o.Level = &line, hclog.Warn // regardless of log_level
		hclog.New(&o).Warn("log lines dropped: the reader of the log was too slow or had exited", "lines", n)
		return line.Bytes()
	}})
	l := &serviceLog{queue: queue}
	o := options
	o.Output = queue
	l.Logger = hclog.New(&o)
	o.Output = queue.Audit()
	l.audit = hclog.New(&o)
	log.SetOutput(standardLog{queue})
	env.stderr = queue
	env.finish = func() { queue.Close(logPatience) }
	return l
}

// standardLog is the output of package log.
type standardLog struct{ queue *logqueue.Queue }

// Write waits until p is written, at most for logPatience: the database reports some of its own
// faults with log.Fatal, which ends the process. net/http quotes data that arrives on an idle
// connection, and a second answer to a call contains a token. That line is cut, and does not wait,
// since net/http locks the connection while it logs.
func (l standardLog) Write(p []byte) (int, error) {
	if head, _, quotes := bytes.Cut(p, []byte("channel starting with")); quotes {
		return l.queue.Write(append(slices.Clip(head), "channel\n"...))
	}
	return l.queue.Flusher(logPatience).Write(p)
}

func (l *serviceLog) setLevel(level hclog.Level) {
	l.SetLevel(level)
	l.audit.SetLevel(level)
}
