package config

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
)

// Settings returns a digest of all that a fetch for the account depends on. It changes when
// one of them does, and is the same after a restart.
//
// It is kept in the store, which none but tokend can read. To guess a secret
// from it is to try 2^128 of them: WeChat makes secrets of 32 hex digits. Of a
// weaker one it would say no more than whether a guess agrees in 64 bits, and who
// can ask WeChat the same has no need of it.
func (a App) Settings() string {
	return digest(a.Family, a.upstream, a.AppID, string(a.Secret), strconv.FormatBool(a.UseStableAccessToken))
}

// Settings is as [App.Settings].
func (a WorkApp) Settings() string {
	return digest("work", a.upstream, a.CorpID, a.AgentID, string(a.Secret))
}

// DownstreamSettings is as [App.Settings], of the token of a downstream corp of a.
func (a WorkApp) DownstreamSettings(d Downstream) string {
	return digest("downstream", a.Settings(), d.CorpID, d.Target())
}

// Settings is as [App.Settings].
func (p OpenPlatform) Settings() string {
	return digest("open_platform", p.upstream, p.AppID, string(p.Secret), string(p.Token), string(p.AESKey))
}

// Settings is as [App.Settings]. It concerns the provider alone; suites have their own.
func (w OpenWork) Settings() string {
	return digest("open_work", w.upstream, w.CorpID, string(w.ProviderSecret))
}

// Settings is as [App.Settings].
func (s Suite) Settings() string {
	return digest("suite", s.upstream, s.SuiteID, string(s.SuiteSecret), string(s.Token), string(s.AESKey))
}

// digest returns 16 hex digits of the SHA-256 of fields. Each is preceded by its length,
// so that no two lists of fields are the same bytes.
func digest(fields ...string) string {
	b := []byte("tokend settings 1")
	for _, f := range fields {
		b = binary.AppendUvarint(b, uint64(len(f)))
		b = append(b, f...)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}
