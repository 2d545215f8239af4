package secret

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestTextNotPrinted(t *testing.T) {
	const canary = "canary-7f3a"
	type account struct {
		AppID  string
		Secret Text
		Keep   []Text
		ByName map[string]Text
		Ref    *Text
	}
	s := Text(canary)
	a := account{"wx1", s, []Text{s}, map[string]Text{"a": s}, &s}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%10s", "%-10v", "%t"} {
		for _, v := range []any{s, &a.Keep, a, &a, a.Keep, a.ByName} {
			got := fmt.Sprintf(verb, v)
			if strings.Contains(got, canary) || strings.Contains(strings.ToLower(got), fmt.Sprintf("%x", canary)) {
				t.Errorf("Sprintf(%q, %T) shows the secret: %s", verb, v, got)
			}
		}
	}
	js, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(js), canary) {
		t.Errorf("json shows the secret: %s", js)
	}
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("m", "secret", s, "account", a)
	if strings.Contains(b.String(), canary) {
		t.Errorf("slog shows the secret: %s", b.String())
	}
	if got := Text("").String(); got != "" {
		t.Errorf("empty secret: got %q, want empty", got)
	}
	if got := string(s); got != canary {
		t.Errorf("conversion: got %q, want %q", got, canary)
	}
}
