package page

import (
	"fmt"

	"tokend/daemon/credential"
	"tokend/fetchers"
)

// advise returns what to do about a credential in trouble, or "".
func (w *words) advise(c *credential.Status) string {
	switch {
	case c.State == credential.Waiting:
		return w.Advice.Ticket
	case c.LastError == "":
		return ""
	case c.Derived:
		return w.Advice.Parent
	case c.Reaction == fetchers.AddressRefused && c.Address != "":
		return fmt.Sprintf(w.Advice.Address, c.Address, c.Name)
	}
	return w.remedy(c.Reason, c.Reaction, c.Name)
}

// react returns what to do about WeChat's answer for name.
func (w *words) react(r fetchers.Reaction, name string) string {
	a := &w.Advice
	switch r {
	case fetchers.Retry:
		return a.Busy
	case fetchers.ParentDead:
		return a.Parent
	case fetchers.NewTicket:
		return a.Ticket
	case fetchers.Reauthorize, fetchers.GrantRefused:
		return a.Grant
	case fetchers.AddressRefused:
		return fmt.Sprintf(a.AddressUnknown, name)
	case fetchers.QuotaDay:
		return a.Quota
	case fetchers.QuotaMinute:
		return a.Rate
	case fetchers.Malformed:
		return a.Defect
	case fetchers.CodeRefused:
		return a.Code
	case fetchers.Misconfigured:
		return fmt.Sprintf(a.Wrong, name)
	}
	return a.Network
}

// why returns in a few words why credentials are held.
func (w *words) why(h credential.Holds) string {
	text := h.Reason.String()
	if h.ErrCode != 0 {
		text = fmt.Sprintf("errcode %d", h.ErrCode)
	}
	return text
}

// remedy returns what to do if name is not fetched because of reason and WeChat's reaction.
func (w *words) remedy(reason credential.Reason, r fetchers.Reaction, name string) string {
	switch {
	case r != 0:
		return w.react(r, name)
	case reason == credential.Limited:
		return w.Advice.Self
	case reason == credential.NoTicket:
		return w.Advice.Ticket
	case reason == credential.Reauth:
		return w.Advice.Grant
	case reason == credential.Refused:
		return w.Advice.Parent // the error came from a parent's fetch
	case reason == credential.Internal:
		return w.Advice.Fault
	}
	return w.Advice.Network
}
