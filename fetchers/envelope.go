package fetchers

// Envelope is the outside of a pushed message: the ciphertext, and whom it is
// addressed to. The address is not signed and proves nothing; the receiver
// that [Callback.Open] returns does.
type Envelope struct {
	ToUserName string // WeCom: the suite, or the provider; empty where there is none
	AppID      string // Open Platform: the component; likewise
	Encrypt    string // for [Callback.Open], never empty
}

// ParseEnvelope reads the XML body of a push. What is wrong with Encrypt is an
// [ErrMalformed]; an address that is no account's id is left out, and everything else may be
// malformed.
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
