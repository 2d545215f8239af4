package doctor

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"tokend/clientlib"
	"tokend/daemon/advice"
	"tokend/daemon/config"
)

// Level is how bad a finding is.
type Level string

// Levels.
const (
	OK      Level = "ok"
	Warning Level = "warning"
	Failed  Level = "failed"
	Skipped Level = "skipped" // the check was not possible
)

// Exit statuses of failed findings. They are those of the command line.
const (
	exitFailed   = 1
	exitUsage    = 2
	exitDenied   = 3
	exitLater    = 4
	exitNoDaemon = 5
)

// Finding is the result of one check.
type Finding struct {
	Check   string // a word that does not change
	Subject string // what was checked, such as a host; "" for the host itself
	Level   Level
	Text    string
	Remedy  string // what to do; "" if nothing
	Exit    int    // the exit status that the finding calls for; 0 unless it has failed
}

// Doctor makes the checks. Set the fields and call Run.
type Doctor struct {
	File     string         // the configuration's path
	Config   *config.Config // nil if it cannot be read
	Mistakes error          // why it cannot be read
	Warnings []string       // of a configuration that can be read

	Client  *clientlib.Client
	Socket  string // of Client
	Clients string // the socket of other users' programs; "" if it is not checked
	Version string // of this program

	// Message returns the text of an error of the client, Hint what to do about it, and Exit its
	// exit status.
	Message func(error) string
	Hint    func(error) string
	Exit    func(error) int

	Language advice.Language
	Getenv   func(string) string

	// Ask makes one call for each account whose secret has not been accepted yet.
	Ask bool

	// Timeout bounds each step of a connection to WeChat. Zero means 5 s.
	Timeout time.Duration

	// Roots are the trusted certificates; nil for the system's.
	Roots *x509.CertPool

	// Unit is the properties of the systemd unit that runs the daemon; nil if there is none.
	Unit map[string]string

	emit  func(Finding)
	state daemonState
}

// Run makes all checks, calls emit for each finding, and returns the exit status: that of the first
// failed finding, or 0.
func (d *Doctor) Run(ctx context.Context, emit func(Finding)) (exit int) {
	d.emit = func(f Finding) {
		if exit == 0 && f.Level == Failed {
			exit = f.Exit
		}
		emit(f)
	}
	d.configuration()
	d.disk()
	d.unit()
	if d.daemon(ctx) {
		d.clients()
		d.version()
		d.store()
		d.credentials()
		d.address(ctx)
		d.pushes(ctx)
		d.secrets(ctx)
		d.backup()
		d.descriptors()
	}
	d.network(ctx)
	return exit
}

// say returns a text in the language of the user.
func (d *Doctor) say(english string, args ...any) string {
	format := english
	if d.Language == advice.Chinese {
		if text, ok := chinese[english]; ok {
			format = text
		}
	}
	if len(args) == 0 {
		return format
	}
	return fmt.Sprintf(format, args...)
}

func (d *Doctor) ok(check, subject, text string) {
	d.emit(Finding{Check: check, Subject: subject, Level: OK, Text: text})
}

func (d *Doctor) skip(check, subject, text string) {
	d.emit(Finding{Check: check, Subject: subject, Level: Skipped, Text: text})
}

func (d *Doctor) warn(check, subject, text, remedy string) {
	d.emit(Finding{Check: check, Subject: subject, Level: Warning, Text: text, Remedy: remedy})
}

func (d *Doctor) fail(exit int, check, subject, text, remedy string) {
	d.emit(Finding{Check: check, Subject: subject, Level: Failed, Text: text, Remedy: remedy, Exit: exit})
}

// timeout returns Timeout or its default.
func (d *Doctor) timeout() time.Duration {
	if d.Timeout > 0 {
		return d.Timeout
	}
	return 5 * time.Second
}

// ago returns how long ago a time was, to a second.
func ago(at time.Time) time.Duration { return max(time.Since(at), 0).Round(time.Second) }
