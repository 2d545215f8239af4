package clientlib

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"
)

func TestSecretIsNotShown(t *testing.T) {
	const canary = "s3cr3t"
	s := Secret(canary)
	cred := Credential{Value: s, TTL: time.Second}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%#q", "%x", "%X", "% x", "%d", "%10s", "%T"} {
		quietly(t, canary, fmt.Sprintf(verb, s), fmt.Sprintf(verb, cred), fmt.Sprintf(verb, &cred), fmt.Sprintf(verb, []Secret{s}))
	}
	quietly(t, "733363723374", fmt.Sprintf("%x", s)) // the canary in hexadecimal
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("got", "value", s, "credential", cred)
	slog.New(slog.NewTextHandler(&log, nil)).Info("got", "value", s, "credential", cred)
	text, err := json.Marshal(cred)
	if err != nil {
		t.Fatal(err)
	}
	quietly(t, canary, log.String(), string(text))

	if got := fmt.Sprintf("%v %q %#v", s, s, s); got != `REDACTED "REDACTED" "REDACTED"` {
		t.Errorf("shown as %s", got)
	}
	if got := fmt.Sprintf("%v|%q", Secret(""), Secret("")); got != `|""` {
		t.Errorf("the empty secret is shown as %s", got)
	}
}
