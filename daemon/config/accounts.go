package config

import (
	"slices"
	"strings"
)

// seen is the accounts read so far, to find duplicates.
type seen map[string]int // line, by id

// twice reports a problem if an account with the same ids was read before. It ignores empty ids:
// they have been reported.
func (s seen) twice(t *table, ids ...string) {
	id := strings.Join(ids, "/")
	if strings.HasPrefix(id, "/") || strings.HasSuffix(id, "/") || id == "" {
		return
	}
	if line, ok := s[id]; ok {
		t.reportf(t.line, "%s%s is configured twice, first on line %d", t.title, id, line)
		return
	}
	s[id] = t.line
}

func (t *table) apps(family string, u Upstream) []App {
	tables := t.tables("", family)
	apps, known := slices.Grow([]App(nil), len(tables)), make(seen, len(tables))
	for _, t := range tables {
		a := App{
			Family:               family,
			AppID:                t.id("app_id"),
			Secret:               t.secret("secret"),
			UseStableAccessToken: t.flag("use_stable_access_token", true),
			Line:                 t.line,
			upstream:             u.weixin(),
		}
		t.done()
		known.twice(t, a.AppID)
		apps = append(apps, a)
	}
	return apps
}

func (t *table) work(u Upstream) []WorkApp {
	tables := t.tables("", "work")
	apps, known := slices.Grow([]WorkApp(nil), len(tables)), make(seen, len(tables))
	for _, t := range tables {
		a := WorkApp{
			CorpID:   t.id("corp_id"),
			AgentID:  t.id("agent_id"),
			Secret:   t.secret("secret"),
			Line:     t.line,
			upstream: u.WorkURL,
		}
		a.Downstream = t.downstream(a.CorpID)
		t.done()
		known.twice(t, a.CorpID, a.AgentID)
		apps = append(apps, a)
	}
	return apps
}

func (t *table) openPlatforms(u Upstream) []OpenPlatform {
	var platforms []OpenPlatform
	known := make(seen)
	for _, t := range t.tables("", "open_platform") {
		p := OpenPlatform{
			AppID:    t.id("app_id"),
			Secret:   t.secret("secret"),
			Token:    t.secret("token"),
			AESKey:   t.aesKey("aes_key"),
			Line:     t.line,
			upstream: u.weixin(),
		}
		p.PreviousToken, p.PreviousAESKey = t.previous(p.Token, p.AESKey)
		customers := make(seen)
		for _, t := range t.tables("open_platform.", "authorizer") {
			a := Authorizer{AppID: t.id("app_id"), RefreshToken: t.secret("refresh_token"), Line: t.line}
			t.done()
			customers.twice(t, a.AppID)
			p.Authorizers = append(p.Authorizers, a)
		}
		t.done()
		known.twice(t, p.AppID)
		platforms = append(platforms, p)
	}
	return platforms
}

// openWork reads the providers. A provider's corp id and a suite's id are both the second segment
// of a name, open_work/<id>/..., so they must all differ.
func (t *table) openWork(u Upstream) []OpenWork {
	var providers []OpenWork
	known := make(seen)
	for _, t := range t.tables("", "open_work") {
		p := OpenWork{
			CorpID:         t.id("corp_id"),
			ProviderSecret: t.secret("provider_secret"),
			Line:           t.line,
			upstream:       u.WorkURL,
		}
		known.twice(t, p.CorpID)
		for _, t := range t.tables("open_work.", "suite") {
			s := t.suite(u)
			known.twice(t, s.SuiteID)
			p.Suites = append(p.Suites, s)
		}
		t.done()
		providers = append(providers, p)
	}
	return providers
}

func (t *table) suite(u Upstream) Suite {
	s := Suite{
		SuiteID:     t.id("suite_id"),
		SuiteSecret: t.secret("suite_secret"),
		Token:       t.secret("token"),
		AESKey:      t.aesKey("aes_key"),
		Line:        t.line,
		upstream:    u.WorkURL,
	}
	s.PreviousToken, s.PreviousAESKey = t.previous(s.Token, s.AESKey)
	customers := make(seen)
	for _, t := range t.tables("open_work.suite.", "corp") {
		c := Corp{CorpID: t.id("corp_id"), PermanentCode: t.secret("permanent_code"), Line: t.line}
		t.done()
		customers.twice(t, c.CorpID)
		s.Corps = append(s.Corps, c)
	}
	t.done()
	return s
}
