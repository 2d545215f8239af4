package config

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
)

// Settings returns a digest of all settings that a fetch for the account depends on. The digest
// changes when one of them changes, and is the same after a restart.
//
// The digest is stored, readable by tokend only. It does not reveal the secret: WeChat's secrets
// have 32 hex digits, so that a search would take 2^128 attempts.
func (a App) Settings() string {
	return digest(a.Family, a.upstream, a.AppID, string(a.Secret), strconv.FormatBool(a.UseStableAccessToken))
}

// Settings is like [App.Settings].
func (a WorkApp) Settings() string {
	return digest("work", a.upstream, a.CorpID, a.AgentID, string(a.Secret))
}

// DownstreamSettings is like [App.Settings], for the token of a downstream corp.
func (a WorkApp) DownstreamSettings(d Downstream) string {
	return digest("downstream", a.Settings(), d.CorpID, d.Target())
}

// Settings is like [App.Settings].
func (p OpenPlatform) Settings() string {
	return digest("open_platform", p.upstream, p.AppID, string(p.Secret), string(p.Token), string(p.AESKey))
}

// Settings is like [App.Settings]. It covers the provider only; each suite has its own digest.
func (w OpenWork) Settings() string {
	return digest("open_work", w.upstream, w.CorpID, string(w.ProviderSecret))
}

// Settings is like [App.Settings].
func (s Suite) Settings() string {
	return digest("suite", s.upstream, s.SuiteID, string(s.SuiteSecret), string(s.Token), string(s.AESKey))
}

// digest returns 16 hex digits of the SHA-256 of fields. Each field is preceded by its length, so
// that different lists of fields are different bytes.
func digest(fields ...string) string {
	b := append(make([]byte, 0, 512), "tokend settings 1"...) // on the stack, unless a secret is long
	for _, f := range fields {
		b = binary.AppendUvarint(b, uint64(len(f)))
		b = append(b, f...)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}
