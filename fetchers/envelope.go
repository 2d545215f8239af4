package fetchers

// Envelope is the outside of a pushed message: the ciphertext and the addressee. The addressee is
// not signed and must not be trusted; the receiver returned by [Callback.Open] is authentic.
type Envelope struct {
	ToUserName string // WeCom: the suite or the provider; empty if missing
	AppID      string // Open Platform: the component; empty if missing
	Encrypt    string // for [Callback.Open], never empty
}

// ParseEnvelope parses the XML body of a push. A fault in Encrypt is an [ErrMalformed]. An
// addressee that is not a valid ID is omitted. Everything else may be malformed.
func ParseEnvelope(body []byte) (Envelope, error) {
	m, err := readXML(body, "ToUserName", "AppId", "Encrypt")
	if err != nil {
		return Envelope{}, err
	}
	e := Envelope{ToUserName: m.readable("ToUserName"), AppID: m.readable("AppId")}
	for _, id := range []*string{&e.ToUserName, &e.AppID} {
		if !validID(*id) {
			*id = ""
		}
	}
	if e.Encrypt, err = m.text("Encrypt"); err != nil {
		return Envelope{}, err
	}
	if e.Encrypt == "" {
		return Envelope{}, malformed("it is not encrypted")
	}
	return e, nil
}
