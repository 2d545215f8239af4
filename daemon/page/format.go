package page

import (
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"
)

// tick is a moment relative to now. The script of the page keeps it up to date.
type tick struct {
	Text string
	At   int64  // Unix seconds; 0 if there is no moment
	As   string // left, ago or in: the format of Text
	ISO  string
}

// left returns how long it is until a moment, ago how long since, in when.
func (w *words) left(t, now time.Time) tick { return w.tick("left", w.Left, t.Sub(now), t) }
func (w *words) ago(t, now time.Time) tick  { return w.tick("ago", w.Ago, now.Sub(t), t) }
func (w *words) in(t, now time.Time) tick   { return w.tick("in", w.In, t.Sub(now), t) }

func (w *words) tick(as, format string, d time.Duration, at time.Time) tick {
	if at.IsZero() {
		return tick{Text: w.None}
	}
	k := tick{Text: fmt.Sprintf(format, w.span(max(d, 0))), At: at.Unix(), As: as, ISO: at.UTC().Format(time.RFC3339)}
	if as == "in" && d <= 0 {
		k.Text = w.Overdue
	}
	return k
}

// span returns d in its two largest units.
func (w *words) span(d time.Duration) string {
	units := [...]time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second}
	d = d.Truncate(time.Second)
	for i, unit := range units {
		if d < unit && unit > time.Second {
			continue
		}
		text := strconv.FormatInt(int64(d/unit), 10) + w.Units[i]
		if rest := d % unit; i+1 < len(units) && rest >= units[i+1] {
			text += " " + strconv.FormatInt(int64(rest/units[i+1]), 10) + w.Units[i+1]
		}
		return text
	}
	return ""
}

// clock returns a moment as a time of the day, with the date if it is not today's.
func clock(t, now time.Time) string {
	t, now = t.UTC(), now.UTC()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04:05")
	}
	return t.Format("01-02 15:04")
}

// grouped returns n with separated thousands.
func grouped[N int | int64](n N) string {
	s := strconv.FormatInt(int64(n), 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// table returns the family and the account under which a credential is shown, and its name there. A
// downstream corp's credential is shown under its app.
func table(name string) (family, id, word string) {
	account, word := path.Split(name)
	account = strings.TrimSuffix(account, "/")
	if strings.Count(account, "/") == 3 {
		corp := path.Base(account)
		account, word = path.Dir(account), corp+"/"+word
	}
	family, id, _ = strings.Cut(account, "/")
	return family, id, word
}
