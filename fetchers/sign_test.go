package fetchers

import "testing"

func TestSign(t *testing.T) {
	const want = "e7315b85e6e54f638f495a74f3e4aaf5109d870c"
	for _, url := range []string{
		"https://example.com/a?b=c&d=%E4%B8%AD",
		"https://example.com/a?b=c&d=%E4%B8%AD#frag",
		"https://example.com/a?b=c&d=%E4%B8%AD#frag#more?x=1",
	} {
		if got := Sign("HoagFKDcsGMVCIY2vOjf9selfmade", "Nonce123", 1700000300, url); got != want {
			t.Errorf("%s:\n got %s\nwant %s", url, got, want)
		}
	}
}
