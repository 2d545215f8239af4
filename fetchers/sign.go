package fetchers

import (
	"crypto/sha1"
	"encoding/hex"
	"strconv"
	"strings"

	"tokend/fetchers/secret"
)

// Sign returns the JS-SDK signature of a page for wx.config (with a jsapi_ticket) and
// wx.agentConfig (with an agent ticket). timestamp is in Unix seconds. The page must pass the same
// nonce and timestamp to WeChat's script. url is the page's address as the browser shows it; the
// part from the first '#' is not signed.
func Sign(ticket secret.Text, nonce string, timestamp int64, url string) string {
	url, _, _ = strings.Cut(url, "#")
	sum := sha1.Sum([]byte("jsapi_ticket=" + string(ticket) +
		"&noncestr=" + nonce +
		"&timestamp=" + strconv.FormatInt(timestamp, 10) +
		"&url=" + url))
	return hex.EncodeToString(sum[:])
}
