package store

import (
	"fmt"
	"strings"

	"github.com/hashicorp/go-hclog"
)

// badgerLogger passes Badger's log to hclog, one level lower: Badger's information helps only in
// debugging. Badger logs keys and file names, never values.
type badgerLogger struct{ log hclog.Logger }

func (l badgerLogger) Errorf(format string, args ...any)   { l.say(hclog.Error, format, args) }
func (l badgerLogger) Warningf(format string, args ...any) { l.say(hclog.Warn, format, args) }
func (l badgerLogger) Infof(format string, args ...any)    { l.say(hclog.Debug, format, args) }
func (l badgerLogger) Debugf(format string, args ...any)   { l.say(hclog.Trace, format, args) }

func (l badgerLogger) say(level hclog.Level, format string, args []any) {
	if l.log.GetLevel() > level {
		return
	}
	text := strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ")
	l.log.Log(level, "badger", "said", text)
}
