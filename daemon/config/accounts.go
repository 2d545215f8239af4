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
		t.reportf(t.at(), "%s%s is configured twice, first on line %d", t.title, id, line)
		return
	}
	s[id] = t.at()
}

func (t *table) apps(family string, u Upstream) []App {
	n, tables := t.tables("", family)
	apps, known, upstream := slices.Grow([]App(nil), n), make(seen, n), u.weixin()
	for t := range tables {
		a := App{
			Family:               family,
			AppID:                t.id("app_id"),
			Secret:               t.secret("secret"),
			UseStableAccessToken: t.flag("use_stable_access_token", true),
			Line:                 t.at(),
			upstream:             upstream,
		}
		t.done()
		known.twice(t, a.AppID)
		apps = append(apps, a)
	}
	return apps
}

func (t *table) work(u Upstream) []WorkApp {
	n, tables := t.tables("", "work")
	apps, known := slices.Grow([]WorkApp(nil), n), make(seen, n)
	for t := range tables {
		a := WorkApp{
			CorpID:   t.id("corp_id"),
			AgentID:  t.id("agent_id"),
			Secret:   t.secret("secret"),
			Line:     t.at(),
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
	_, tables := t.tables("", "open_platform")
	for t := range tables {
		p := OpenPlatform{
			AppID:    t.id("app_id"),
			Secret:   t.secret("secret"),
			Token:    t.secret("token"),
			AESKey:   t.aesKey("aes_key"),
			Line:     t.at(),
			upstream: u.weixin(),
		}
		p.PreviousToken, p.PreviousAESKey = t.previous(p.Token, p.AESKey)
		n, authorizers := t.tables("open_platform.", "authorizer")
		customers := make(seen, n)
		p.Authorizers = slices.Grow(p.Authorizers, n)
		for t := range authorizers {
			a := Authorizer{AppID: t.id("app_id"), RefreshToken: t.secret("refresh_token"), Line: t.at()}
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
	_, tables := t.tables("", "open_work")
	for t := range tables {
		p := OpenWork{
			CorpID:         t.id("corp_id"),
			ProviderSecret: t.secret("provider_secret"),
			Line:           t.at(),
			upstream:       u.WorkURL,
		}
		known.twice(t, p.CorpID)
		_, suites := t.tables("open_work.", "suite")
		for t := range suites {
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
		Line:        t.at(),
		upstream:    u.WorkURL,
	}
	s.PreviousToken, s.PreviousAESKey = t.previous(s.Token, s.AESKey)
	n, corps := t.tables("open_work.suite.", "corp")
	customers := make(seen, n)
	s.Corps = slices.Grow(s.Corps, n)
	for t := range corps {
		c := Corp{CorpID: t.id("corp_id"), PermanentCode: t.secret("permanent_code"), Line: t.at()}
		t.done()
		customers.twice(t, c.CorpID)
		s.Corps = append(s.Corps, c)
	}
	t.done()
	return s
}
