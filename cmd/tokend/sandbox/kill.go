package sandbox

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"tokend/protocol"
)

// deadCodes are the errcodes of a dead token.
var deadCodes = []int{40001, 40014, 42001, 42009, 40082}

// killable are the last segments of the names of values that tokend fetches and caches.
var killable = []string{
	"access_token", "component_access_token", "suite_access_token", "provider_access_token",
	"jsapi_ticket", "wx_card_ticket", "sdk_ticket", "agent_config_ticket",
}

// kill makes WeChat refuse the current value of a credential.
func (s *Sandbox) kill(w http.ResponseWriter, r *http.Request) {
	code := 0
	if text := r.FormValue("errcode"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || !slices.Contains(deadCodes, n) {
			http.Error(w, "errcode must be one of 40001, 40014, 42001, 42009, 40082", http.StatusBadRequest)
			return
		}
		code = n
	}
	name := r.FormValue("name")
	account, word, ok := s.credential(name)
	switch {
	case !protocol.ValidName(name):
		http.Error(w, "name must be a credential's name, such as "+Accounts()[0].Names()[0], http.StatusBadRequest)
	case !ok:
		http.Error(w, "unknown name: it must be a token or a ticket that tokend fetches for one of\n"+strings.Join(s.paths(), "\n"), http.StatusNotFound)
	case !s.wechat.KillNewest(account, word, code):
		http.Error(w, "there is no valid value of this name: get it from tokend first", http.StatusConflict)
	default:
		_, _ = io.WriteString(w, "done\n") // the caller may have gone
	}
}

// credential splits the name of a credential into its account in WeChat and its last segment. ok is
// false if the sandbox has no such account or the values of the name are not fetched.
func (s *Sandbox) credential(name string) (account, word string, ok bool) {
	end := strings.LastIndexByte(name, '/')
	if end < 0 || !slices.Contains(killable, name[end+1:]) {
		return "", "", false
	}
	path, word := name[:end], name[end+1:]
	family, account, _ := strings.Cut(path, "/")
	if slices.Contains(s.paths(), path) {
		return account, word, true
	}
	owner, child, _ := strings.Cut(account, "/")
	o, ok := s.owner(owner)
	switch {
	case ok:
		return account, word, o.Path() == family+"/"+owner && s.wechat.CurrentGrant(owner, child) != ""
	case s.any:
		return account, word, slices.Contains([]string{"official_account", "mini_program", "work", "open_work"}, family)
	}
	return "", "", false
}

// paths returns the names of the accounts and owners.
func (s *Sandbox) paths() []string {
	var paths []string
	for _, a := range Accounts() {
		for _, name := range a.Names() {
			if path := name[:strings.LastIndexByte(name, '/')]; !slices.Contains(paths, path) {
				paths = append(paths, path)
			}
		}
	}
	for _, o := range s.owners {
		paths = append(paths, o.Path())
	}
	return paths
}
