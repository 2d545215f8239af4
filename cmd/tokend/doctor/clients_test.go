package doctor

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tokend/daemon/advice"
)

// TestClients holds that doctor looks at the socket of other users' programs, which root's commands
// do not use.
func TestClients(t *testing.T) {
	for _, test := range []struct {
		name   string
		mode   os.FileMode
		change func(ln *net.UnixListener)
		want   Finding
	}{
		{"open", 0o666, nil, Finding{Level: OK, Text: "every user"}},
		{"closed", 0o600, nil, Finding{Level: Warning, Text: "mode 0600"}},
		{"missing", 0o666, func(ln *net.UnixListener) { _ = ln.Close() }, Finding{Level: Failed, Exit: exitNoDaemon, Text: "missing"}},
		{"abandoned", 0o666, func(ln *net.UnixListener) { ln.SetUnlinkOnClose(false); _ = ln.Close() }, Finding{Level: Failed, Exit: exitNoDaemon, Text: "refused"}},
	} {
		for language := range advice.Language(advice.Languages) {
			path := filepath.Join(t.TempDir(), "s")
			ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, test.mode); err != nil {
				t.Fatal(err)
			}
			if test.change != nil {
				test.change(ln)
			}
			d := &Doctor{Clients: path, Language: language}
			got := findings(d, d.clients)
			_ = ln.Close()
			if len(got) != 1 || got[0].Level != test.want.Level || got[0].Exit != test.want.Exit || (test.want.Level == OK) != (got[0].Remedy == "") ||
				language == advice.English && !strings.Contains(got[0].Text, test.want.Text) {
				t.Errorf("%s: got %+v, want %+v", test.name, got, test.want)
			}
		}
	}
}
