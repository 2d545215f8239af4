package main

import (
	"cmp"
	"fmt"
	"strings"

	"tokend/daemon/advice"
)

// language returns the language of the texts for people: Chinese if the locale is, else English.
func (env *environment) language() advice.Language {
	if env.getenv == nil {
		return advice.English
	}
	if strings.HasPrefix(env.locale("LC_MESSAGES"), "zh") {
		return advice.Chinese
	}
	return advice.English
}

// locale returns the locale of a category, such as "zh_CN.UTF-8".
func (env *environment) locale(category string) string {
	return cmp.Or(env.getenv("LC_ALL"), env.getenv(category), env.getenv("LANG"))
}

// say returns a text in the user's language. The table chinese has the translations.
func (env *environment) say(english string) string {
	if env.language() == advice.Chinese {
		return cmp.Or(chinese[english], english)
	}
	return english
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
