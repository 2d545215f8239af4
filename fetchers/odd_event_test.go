package fetchers

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestOddEvents reads the messages in testdata/wechat/odd, which are malformed XML or otherwise
// odd.
func TestOddEvents(t *testing.T) {
	created := Event{Kind: EventCreateAuth, Owner: "wwsuite", Time: at(1700000000), Code: "CODE", CodeExpires: at(1700000600)}
	want := map[string]Event{}
	wrong := map[string]string{}
	for name := range strings.FieldsSeq(`control_character control_characters half_character gbk gbk_brackets utf8 bom
		bom_and_declaration comment comment_without_end ampersand angle nul_behind garbage_around instruction
		twice_unread nested without_an_end child_without_an_end child_of_a_name_without_an_end end_without_start crossed
		attributes cdata_in_two cdata_without_end entities blanks twice_alike other_fields_malformed without_the_last_end
		root_end_in_text`) {
		want["create_auth_"+name] = created
	}
	want["cancel_auth_control_character"] = Event{Kind: EventCancelAuth, Owner: "wwsuite", Time: at(1700000000), Child: "wwcorp"}
	want["change_contact_control_character"] = Event{Kind: "change_contact", Owner: "wwsuite", Time: at(1700000000)}
	want["authorized_expiry_malformed"] = Event{Kind: EventAuthorized, Owner: "wxc", Time: at(1700000000), Child: "wxa", Code: "CODE"}
	want["fast_register_control_character"] = Event{Kind: EventFastRegister, Owner: "wxc", Time: at(1700000000), Child: "wxm", Code: "CODE"}

	const strange = " contains invalid characters"
	for name, why := range map[string]string{
		"code_twice":             "AuthCode occurs twice with different values",
		"code_nested":            "AuthCode contains elements",
		"code_control_character": "AuthCode" + strange,
		"code_half_character":    "AuthCode" + strange,
		"code_comment":           "AuthCode" + strange,
		"code_ampersand":         "AuthCode" + strange,
		"code_without_an_end":    "AuthCode has no end tag",
		"kind_control_character": "InfoType" + strange,
		"kind_twice":             "InfoType occurs twice with different values",
		"owner_twice":            "SuiteId occurs twice with different values",
		"time_twice":             "TimeStamp occurs twice with different values",
		"in_two_roots":           "it must have exactly one root element <xml>",
	} {
		wrong["create_auth_"+name] = why
	}
	unused := oddEventFiles(t)
	read := func(name string) (Event, error) {
		unused = slices.DeleteFunc(unused, func(f string) bool { return f == name })
		plain, err := os.ReadFile(filepath.Join(goldenDir, "odd", name+".xml"))
		if err != nil {
			t.Fatal(err)
		}
		return ParseEvent(plain)
	}
	for name, want := range want {
		if got, err := read(name); err != nil || got != want {
			t.Errorf("%s: %v\n got %s\nwant %s", name, err, shown(got), shown(want))
		}
	}
	for name, why := range wrong {
		got, err := read(name)
		if !errors.Is(err, ErrMalformed) || got != (Event{}) || err.Error() != "the message is malformed: "+why {
			t.Errorf("%s: got %s, %v, want %s", name, shown(got), err, why)
		}
	}
	if len(unused) > 0 {
		t.Errorf("untested messages: %q", unused)
	}
}

// oddEventFiles returns the names of the odd messages, at least one.
func oddEventFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(goldenDir, "odd", "*.xml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no odd messages in %s: %v", goldenDir, err)
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(filepath.Base(f), ".xml")
	}
	return files
}
