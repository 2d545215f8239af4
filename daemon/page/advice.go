package page

import (
	"fmt"

	"tokend/daemon/advice"
	"tokend/daemon/credential"
)

// why returns in a few words why credentials are held.
func (w *words) why(h credential.Holds) string {
	text := h.Reason.String()
	if h.ErrCode != 0 {
		text = fmt.Sprintf("errcode %d", h.ErrCode)
	}
	return text
}

// remedy returns what to do about the holds h of customers' credentials.
func (w *words) remedy(h credential.Holds) string {
	return w.Language.Advise(advice.Because(h.Reason, h.Reaction), advice.Subject{}).String()
}

// DiskRefuses returns what to do about a disk that refuses writes.
func (w *words) DiskRefuses() string {
	return w.Language.Advise(advice.Disk, advice.Subject{}).String()
}
