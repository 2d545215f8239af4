package main

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tokend/daemon/advice"
)

// language returns the language of the texts for people: Chinese if the locale is and does not name
// a charset other than UTF-8, else English.
func (env *environment) language() advice.Language {
	if env.getenv == nil {
		return advice.English
	}
	locale := env.locale("LC_MESSAGES")
	if strings.HasPrefix(locale, "zh") && (inUTF8(locale) || !strings.Contains(locale, ".")) {
		return advice.Chinese
	}
	return advice.English
}

// inUTF8 reports whether a locale names the charset UTF-8.
func inUTF8(locale string) bool {
	locale = strings.ToUpper(locale)
	return strings.Contains(locale, "UTF-8") || strings.Contains(locale, "UTF8")
}

// locale returns the locale of a category, such as "zh_CN.UTF-8".
func (env *environment) locale(category string) string {
	return cmp.Or(env.getenv("LC_ALL"), env.getenv(category), env.getenv("LANG"))
}

// say returns a text in the user's language. The tables chinese and helpInChinese have the
// translations.
func (env *environment) say(english string) string {
	if env.language() == advice.Chinese {
		return cmp.Or(chinese[english], helpInChinese[english], english)
	}
	return english
}

// saying returns a text that was formatted in English, such as a hint, in the user's language.
func (env *environment) saying(english string) string {
	if text := env.say(english); text != english || env.language() != advice.Chinese {
		return text
	}
	for _, f := range formats() {
		if m := f.pattern.FindStringSubmatch(english); m != nil {
			text := f.chinese
			for _, part := range m[1:] {
				text = verb.ReplaceAllLiteralString(text[:nextVerb(text)], part) + text[nextVerb(text):]
			}
			return text
		}
	}
	return english
}

// format is a text with verbs in both languages, whose verbs have the same order.
type format struct {
	pattern *regexp.Regexp
	chinese string
}

var verb = regexp.MustCompile(`%[sdq]`)

// nextVerb returns the end of the first verb in text.
func nextVerb(text string) int {
	if at := verb.FindStringIndex(text); at != nil {
		return at[1]
	}
	return len(text)
}

// formats returns the texts of the table chinese that have verbs, the longest first.
var formats = sync.OnceValue(func() (all []format) {
	keys := slices.SortedFunc(maps.Keys(chinese), func(a, b string) int { return cmp.Or(len(b)-len(a), cmp.Compare(a, b)) })
	for _, key := range keys {
		if parts := verb.Split(key, -1); len(parts) > 1 {
			for i := range parts {
				parts[i] = regexp.QuoteMeta(parts[i])
			}
			all = append(all, format{regexp.MustCompile("^" + strings.Join(parts, "(.+)") + "$"), chinese[key]})
		}
	}
	return all
})

// localize puts the help of root and its commands into the user's language.
func (env *environment) localize(root *cobra.Command) {
	if env.language() != advice.Chinese {
		return
	}
	for _, g := range root.Groups() {
		g.Title = env.say(g.Title)
	}
	root.SetUsageFunc(usageInChinese(root.UsageFunc()))
	for _, c := range append(root.Commands(), root) {
		c.Short, c.Long = env.say(c.Short), env.say(c.Long)
		c.InitDefaultHelpFlag()
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Name == "help" {
				f.Usage = "显示帮助"
			} else {
				f.Usage = env.say(f.Usage)
			}
		})
	}
}

// headings has the headings of cobra's usage text.
var headings = map[string]string{
	"Usage:": "用法：", "Aliases:": "别名：", "Examples:": "示例：", "Available Commands:": "命令：", "Additional Commands:": "其他命令：",
	"Flags:": "选项：", "Global Flags:": "全局选项：", "Additional help topics:": "其他帮助：",
}

// usageInChinese returns a function that writes the usage text of english with Chinese headings. A
// template would do the same. But with a template in it, a program is linked with all exported
// methods of its types, called or not, as a template may name any. That made this one 3 MB larger.
func usageInChinese(english func(*cobra.Command) error) func(*cobra.Command) error {
	return func(c *cobra.Command) error {
		out := c.OutOrStderr()
		var text strings.Builder
		c.SetOut(&text)
		err := english(c)
		c.SetOut(out)
		for line := range strings.Lines(text.String()) {
			line = strings.TrimSuffix(line, "\n")
			if of, ok := strings.CutSuffix(line, ` [command] --help" for more information about a command.`); ok {
				line = "单个命令的帮助：" + strings.TrimPrefix(of, `Use "`) + " [command] --help"
			}
			fmt.Fprintln(out, cmp.Or(headings[line], line))
		}
		return err
	}
}

// amount returns a number of things: "1 value", "2 values".
func (env *environment) amount(n int, word string) string {
	if env.language() == advice.Chinese {
		return fmt.Sprintf("%d %s", n, cmp.Or(chinese[word], word))
	}
	if strings.HasSuffix(word, "sh") && n != 1 {
		word += "e"
	}
	return plural(n, word)
}

// sayf is say for a format.
func (env *environment) sayf(english string, args ...any) string {
	return fmt.Sprintf(env.say(english), args...)
}
