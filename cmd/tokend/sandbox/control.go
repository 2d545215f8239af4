package sandbox

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"tokend/fetchers/wechattest"
	"tokend/protocol"
)

// controls is the path of the commands for events of platforms, suites and customers.
const controls = "/sandbox/"

// control is a command that causes an event.
type control struct {
	word     string
	help     string
	customer bool // a customer's event: needs the child
	known    bool // the customer must exist

	// do causes the event and returns the answer: a secret of the sandbox, or "".
	do func(w *wechattest.WeChat, r *http.Request, owner, child string) (string, error)
}

// done returns a do without an answer.
func done(f func(w *wechattest.WeChat, owner, child string)) func(*wechattest.WeChat, *http.Request, string, string) (string, error) {
	return func(w *wechattest.WeChat, _ *http.Request, owner, child string) (string, error) {
		f(w, owner, child)
		return "", nil
	}
}

// secretly returns a do that answers a code or a grant.
func secretly(f func(w *wechattest.WeChat, owner, child string) string) func(*wechattest.WeChat, *http.Request, string, string) (string, error) {
	return func(w *wechattest.WeChat, _ *http.Request, owner, child string) (string, error) {
		return f(w, owner, child), nil
	}
}

func allControls() []control {
	return []control{
		{word: "push-ticket", help: "push a ticket now", do: pushTicket},
		{word: "verify", help: "verify a suite's callback, as WeCom's console does", do: verify},
		{word: "authorize", help: "a customer authorizes; answers the code, which is also pushed", customer: true, do: secretly((*wechattest.WeChat).Authorize)},
		{word: "update", help: "a customer changes its permissions", customer: true, known: true, do: secretly((*wechattest.WeChat).UpdateAuthorized)},
		{word: "reset-permanent-code", help: "the secret of a custom-developed app is requested again", customer: true, known: true, do: secretly((*wechattest.WeChat).ResetPermanentCode)},
		{word: "unauthorize", help: "a customer revokes the authorization", customer: true, known: true, do: done((*wechattest.WeChat).Unauthorize)},
		{word: "add-customer", help: "adds an existing customer; answers its grant, without a push", customer: true, do: secretly((*wechattest.WeChat).AddCustomer)},
	}
}

// pushTicket returns an error unless the callback accepts the ticket.
func pushTicket(w *wechattest.WeChat, r *http.Request, owner, _ string) (string, error) {
	if d := w.Send(r.Context(), owner, w.TicketPush(owner)); d.Err != nil {
		return "", fmt.Errorf("the callback: %s", taken(d))
	}
	return "", nil
}

func verify(w *wechattest.WeChat, r *http.Request, owner, _ string) (string, error) {
	return "", w.VerifyCallback(r.Context(), owner)
}

// handler serves the controls and WeChat.
func (s *Sandbox) handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(word string, h http.Handler, methods ...string) {
		mux.HandleFunc(controls+word, func(w http.ResponseWriter, r *http.Request) {
			if !slices.Contains(methods, r.Method) {
				w.Header().Set("Allow", strings.Join(methods, ", "))
				http.Error(w, "use "+strings.Join(methods, " or "), http.StatusMethodNotAllowed)
				return
			}
			h.ServeHTTP(w, r)
		})
	}
	for _, c := range allControls() {
		handle(c.word, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.control(w, r, c) }), http.MethodPost)
	}
	handle("kill", http.HandlerFunc(s.kill), http.MethodPost)
	handle("echo", s.wechat.Business(http.HandlerFunc(echo)), http.MethodGet, http.MethodPost)
	handle("calls", http.HandlerFunc(s.calls.serve), http.MethodGet)
	handle("{$}", http.HandlerFunc(s.help), http.MethodGet)
	mux.HandleFunc(controls, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "unknown command: GET "+controls+" lists the commands", http.StatusNotFound)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, controls) {
			mux.ServeHTTP(w, r)
			return
		}
		s.wechat.ServeHTTP(w, r)
	})
}

// control causes c for the owner and the child in the query.
func (s *Sandbox) control(w http.ResponseWriter, r *http.Request, c control) {
	o, ok := s.owner(r.FormValue("owner"))
	if !ok {
		http.Error(w, "owner must be one of "+strings.Join(s.ownerIDs(), ", "), http.StatusNotFound)
		return
	}
	child := r.FormValue("child")
	switch {
	case c.word == "verify" && o.Provider == "":
		http.Error(w, "WeChat does not verify the callback of a platform", http.StatusNotFound)
		return
	case c.customer && (strings.Contains(child, "/") || !protocol.ValidName(o.Path()+"/"+child+"/access_token")):
		http.Error(w, "child must be an appid or corpid", http.StatusBadRequest)
		return
	case c.known && s.wechat.CurrentGrant(o.ID, child) == "":
		http.Error(w, "no such customer: see authorize", http.StatusNotFound)
		return
	}
	answer, err := c.do(s.wechat, r, o.ID, child)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	if answer == "" {
		answer = "done"
	}
	_, _ = io.WriteString(w, answer+"\n") // the caller may have gone
}

func (s *Sandbox) owner(id string) (Owner, bool) {
	for _, o := range s.owners {
		if o.ID == id {
			return o, true
		}
	}
	return Owner{}, false
}

func (s *Sandbox) ownerIDs() []string {
	var ids []string
	for _, o := range s.owners {
		ids = append(ids, o.ID)
	}
	return ids
}

// help lists the controls.
func (s *Sandbox) help(w http.ResponseWriter, _ *http.Request) {
	for _, line := range s.Controls() {
		_, _ = fmt.Fprintln(w, line) // the caller may have gone
	}
}

// Controls returns a command line for each control.
func (s *Sandbox) Controls() []string {
	var lines []string
	for _, c := range allControls() {
		o := s.owners[0]
		switch c.word {
		case "verify":
			o = s.owners[1]
		case "reset-permanent-code":
			o = s.owners[2]
		}
		query := "owner=" + o.ID
		if c.customer {
			child := o.Customer
			if !c.known {
				child = "wxanother"
			}
			query += "&child=" + child
		}
		lines = append(lines, fmt.Sprintf("curl -X POST '%s%s%s?%s'   # %s", s.URL, controls, c.word, query, c.help))
	}
	return append(lines,
		fmt.Sprintf("curl '%s%secho?access_token=TOKEN'   # a business API: checks the token and describes the request; &bytes=N, &slow=1", s.URL, controls),
		fmt.Sprintf("curl -X POST '%s%skill?name=%s'   # from now on WeChat refuses the current value; &errcode=40014", s.URL, controls, Accounts()[0].Names()[0]),
		fmt.Sprintf("curl '%s%scalls'   # the number of calls so far, by endpoint and account", s.URL, controls))
}
