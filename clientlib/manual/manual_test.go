package manual

import (
	"reflect"
	"testing"
	"testing/fstest"
)

func TestBlocks(t *testing.T) {
	docs := fstest.MapFS{
		"clients.md": {Data: []byte("# Clients\n\nSee [Protocol](protocol.md).\n\n| SDK | page |\n|---|---|\n" +
			"| one | [One](one.md), [Clients](clients.md#go) |\n| one again | [One](one.md#change) |\n\n```sh\ntokend list\n```\n")},
		"protocol.md": {Data: []byte("```text\nGET name\n```\n")},
		"one.md": {Data: []byte("# One\n\nIn the configuration, before:\n\n```php\n$a = 1;\n\n$b = 2;\n```\n\nAfter:\n\n```php\n$a = 2;\n```\n" +
			"```\nnone\n```\n\n1. Before that:\n\n   ```sh\n   true\n   ```\n")},
	}
	all := []Block{
		{Page: "clients.md", Line: 11, Language: "sh", Text: "tokend list\n"},
		{Page: "one.md", Line: 6, Language: "php", Text: "$a = 1;\n\n$b = 2;\n", Before: true},
		{Page: "one.md", Line: 14, Language: "php", Text: "$a = 2;\n"},
		{Page: "one.md", Line: 17, Text: "none\n"},
		{Page: "one.md", Line: 23, Language: "sh", Text: "   true\n"},
	}
	got, err := Blocks(docs)
	if err != nil || !reflect.DeepEqual(got, all) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, all)
	}
	if got, err = Blocks(docs, "php"); err != nil || !reflect.DeepEqual(got, all[1:3]) {
		t.Errorf("php: got  %+v, %v\nwant %+v", got, err, all[1:3])
	}
	if pages, err := Pages(docs); err != nil || !reflect.DeepEqual(pages, []string{"clients.md", "one.md"}) {
		t.Errorf("pages: got %q, %v", pages, err)
	}
	docs["one.md"].Data = []byte("```php\n$a = 1;\n")
	if _, err := Blocks(docs); err == nil {
		t.Error("a block without an end: no error")
	}
	delete(docs, "one.md")
	if _, err := Blocks(docs); err == nil {
		t.Error("a page that does not exist: no error")
	}
}
