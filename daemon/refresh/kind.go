package refresh

// Kind is which of WeChat's credentials a credential is. The kind decides how it is
// renewed; see policies.
type Kind uint8

// Kinds.
const (
	StableToken   Kind = iota + 1 // access_token by /cgi-bin/stable_token
	RotatingToken                 // access_token by /cgi-bin/token
	Ticket                        // jsapi and wx_card tickets of official accounts
	CorpToken                     // WeCom access_token by /cgi-bin/gettoken
	CorpTicket                    // WeCom corp and agent tickets
	ProviderToken                 // WeCom provider_access_token
)
