package simulation

import "regexp"

// flaw is a fault of a host that the simulation must notice.
type flaw string

const (
	dropsGrants flaw = "drops refresh tokens"
	longLives   flaw = "believes that values live longer"
	callsTwice  flaw = "calls twice at once"
)

var (
	grantField = regexp.MustCompile(`"authorizer_refresh_token":"[^"]*"`)
	lifeField  = regexp.MustCompile(`"expires_in":`)
)

// spoil changes an answer as a host with the flaw reads it.
func (f flaw) spoil(text []byte) []byte {
	switch f {
	case dropsGrants:
		return grantField.ReplaceAll(text, []byte(`"authorizer_refresh_token":""`))
	case longLives:
		return lifeField.ReplaceAll(text, []byte(`"expires_in":9`))
	}
	return text
}
