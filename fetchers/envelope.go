package fetchers

// Envelope is the outside of a pushed message: the ciphertext, and whom it is
// addressed to. The address is not signed and proves nothing; the receiver
// that [Callback.Open] returns does.
type Envelope struct {
	ToUserName string // WeCom: the suite, or the provider; empty where there is none
	AppID      string // Open Platform: the component; likewise
	Encrypt    string // for [Callback.Open], never empty
}

// ParseEnvelope reads the XML body of a push. What is wrong with it is an
// [ErrMalformed].
func ParseEnvelope(body []byte) (Envelope, error) {
	m, err := readXML(body, "ToUserName", "AppId", "Encrypt")
	if err != nil {
		return Envelope{}, err
	}
	e := Envelope{ToUserName: m["ToUserName"], AppID: m["AppId"], Encrypt: m["Encrypt"]}
	for _, id := range []string{e.ToUserName, e.AppID} {
		if id != "" && !validID(id) {
			return Envelope{}, malformed("whom it is for is no account's id")
		}
	}
	if e.Encrypt == "" {
		return Envelope{}, malformed("it is not encrypted")
	}
	return e, nil
}
