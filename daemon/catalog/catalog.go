package catalog

import (
	"iter"
	"slices"
	"strings"

	"tokend/daemon/config"
	"tokend/daemon/credential"
	"tokend/daemon/policy"
	"tokend/daemon/refresh"
	"tokend/fetchers"
)

// Catalog maps every name of the configured accounts to a spec, which tells the engine how to fetch
// the value. It does not list customers of platforms and suites. Any well-formed name of a customer
// has a spec, and a stored grant tells whether the customer exists. A Catalog is immutable.
type Catalog struct {
	groups    []group                  // those of one owner are adjacent
	accounts  map[string]int           // by path: index into groups
	others    map[string]*refresh.Spec // by name: credentials that no account of a family has
	platforms map[string]platform      // by path: open_platform/<appid>, open_work/<suite_id>
	pushed    []string                 // names of the platforms' tickets
	limits    config.Limits
}

// group is an account of a family, or nothing, and other credentials.
type group struct {
	account
	others []*refresh.Spec
}

// platform is a platform or suite. It has customers.
type platform interface {
	// customer returns the spec of the customer child's credential called name, whose last segment
	// is word. It returns false for an unknown word.
	customer(name, child, word string) (refresh.Spec, bool)

	// dependants returns the words of the credentials that depend on a customer's grant. The caller
	// may modify the slice.
	dependants() []string

	onboarding() refresh.Onboarding
}

// New returns the catalog of file, whose calls go to up. It calls step, which may wait, after each
// account; nil for none.
func New(file *config.Config, up *Upstream, step func()) *Catalog {
	if step == nil {
		step = func() {}
	}
	n := len(file.OfficialAccounts) + len(file.MiniPrograms) + len(file.Work)
	c := &Catalog{
		groups:    make([]group, 0, n+len(file.OpenWork)+len(file.OpenPlatforms)),
		accounts:  make(map[string]int, n),
		others:    map[string]*refresh.Spec{},
		platforms: map[string]platform{},
		limits:    file.Limits,
	}
	of := newFamilies(up)
	for _, a := range file.OfficialAccounts {
		c.app(a, of.official, of.rotatingOfficial, up)
		step()
	}
	for _, a := range file.MiniPrograms {
		c.app(a, of.mini, of.rotatingMini, up)
		step()
	}
	// The apps of a corp share a quota and must be adjacent. In the file they may be anywhere.
	apps := slices.Clone(file.Work)
	slices.SortStableFunc(apps, func(a, b config.WorkApp) int { return strings.Compare(a.CorpID, b.CorpID) })
	for _, a := range apps {
		path := "work/" + a.CorpID + "/" + a.AgentID
		app := newAccount(of.work, path, a.Settings(), fetchers.CorpToken{Client: up.work, CorpID: a.CorpID, Secret: a.Secret})
		c.account(app)
		for _, d := range a.Downstream {
			s := app.spec(path+"/"+d.CorpID+tokenWord, &ticket{"", policy.DownstreamToken,
				fetchers.DownstreamToken{Client: up.work, CorpID: d.CorpID, AgentID: d.AgentID, BusinessType: d.BusinessType}})
			s.Settings, s.Target = a.DownstreamSettings(d), d.Target()
			c.add(s)
			step()
		}
		step()
	}
	for _, p := range file.OpenWork {
		o := owner{host: workHost, path: "open_work/" + p.CorpID, pays: "open_work/" + p.CorpID, settings: p.Settings()}
		c.add(o.root("provider_access_token", policy.ProviderToken, fetchers.ProviderToken{Client: up.work, CorpID: p.CorpID, Secret: p.ProviderSecret}))
		for _, s := range p.Suites {
			c.suite(newSuite(s, up))
			step()
		}
	}
	for _, p := range file.OpenPlatforms {
		c.component(newComponent(p, up))
		step()
	}
	return c
}

// app adds an official account or a mini program.
func (c *Catalog) app(a config.App, stable, rotating *family, up *Upstream) {
	path := a.Family + "/" + a.AppID
	if a.UseStableAccessToken {
		c.account(newAccount(stable, path, a.Settings(), fetchers.StableToken{Client: up.weixin, AppID: a.AppID, Secret: a.Secret}))
	} else {
		c.account(newAccount(rotating, path, a.Settings(), fetchers.AccessToken{Client: up.weixin, AppID: a.AppID, Secret: a.Secret}))
	}
}

// account adds a.
func (c *Catalog) account(a account) {
	c.accounts[a.names[:a.path]] = len(c.groups)
	c.groups = append(c.groups, group{account: a})
}

// add adds a credential that no account of a family has. It belongs to the owner of the account
// that was added last, or to another owner.
func (c *Catalog) add(s refresh.Spec) {
	if len(c.groups) == 0 {
		c.groups = append(c.groups, group{})
	}
	last := &c.groups[len(c.groups)-1]
	last.others = append(last.others, &s)
	c.others[s.Name] = &s
}

// owner is the account that credentials belong to.
type owner struct {
	host     int    // the host of its calls
	path     string // the names without their last segment
	pays     string // the owner whose quota several accounts share: the corp of an app
	settings string

	// whole is the full name if the owner is made for one credential, and otherwise empty. It saves
	// a copy: the engine stores the name, and there may be a million customers.
	whole string
}

func (o owner) name(word string) string {
	if o.whole != "" {
		return o.whole
	}
	return o.path + "/" + word
}

// root returns the spec of a credential without a parent.
func (o owner) root(word string, p *policy.Policy, f refresh.Fetcher) refresh.Spec {
	return refresh.Spec{
		Name:     o.name(word),
		Policy:   p,
		Host:     o.host,
		Account:  o.path,
		Owner:    o.pays,
		Settings: o.settings,
		Fetcher:  f,
	}
}

// child returns the spec of a credential that is fetched with the owner's access token. It has its
// own budget, because WeChat counts the types of an account's tickets separately.
func (o owner) child(word string, p *policy.Policy, f refresh.Fetcher) refresh.Spec {
	s := o.root(word, p, f)
	s.Parent = o.path + tokenWord
	s.Account = s.Name
	return s
}

// Lookup returns the spec of name.
func (c *Catalog) Lookup(name string) (refresh.Spec, error) {
	if path, child, word, ok := splitCustomer(name); ok {
		if p, ok := c.platforms[path]; ok {
			if s, ok := p.customer(name, child, word); ok {
				return s, nil
			}
		}
	}
	if i, ok := c.accounts[name[:max(strings.LastIndexByte(name, '/'), 0)]]; ok {
		a := &c.groups[i].account
		for own, t := range a.each {
			if own == name {
				return a.spec(name, t), nil
			}
		}
	}
	if s := c.others[name]; s != nil {
		return *s, nil
	}
	return refresh.Spec{}, &credential.Error{Reason: credential.NotFound, RetryAfter: credential.Never, Message: "no such credential: " + name}
}

// splitCustomer splits the name of a customer's credential.
func splitCustomer(name string) (path, child, word string, ok bool) {
	family := strings.IndexByte(name, '/')
	if family < 0 {
		return "", "", "", false
	}
	rest := name[family+1:]
	owner := strings.IndexByte(rest, '/')
	if owner < 0 {
		return "", "", "", false
	}
	child, word, ok = strings.Cut(rest[owner+1:], "/")
	// path is a substring of name and not concatenated, because a start looks up every customer.
	return name[:family+1+owner], child, word, ok && !strings.Contains(word, "/")
}

// Names yields every name of the configured accounts.
func (c *Catalog) Names() iter.Seq[string] {
	return func(yield func(string) bool) {
		for s := range c.Specs() {
			if !yield(s.Name) {
				return
			}
		}
	}
}

// Specs yields the specs of Names.
func (c *Catalog) Specs() iter.Seq[*refresh.Spec] {
	return func(yield func(*refresh.Spec) bool) {
		var s refresh.Spec
		for i := range c.groups {
			g := &c.groups[i]
			if g.family != nil {
				for s := range g.specs(&s) {
					if !yield(s) {
						return
					}
				}
			}
			for _, s := range g.others {
				if !yield(s) {
					return
				}
			}
		}
	}
}

// Pushed returns the names of the pushed tickets.
func (c *Catalog) Pushed() []string { return c.pushed }

// Dependants returns the names of the credentials that depend on grant.
func (c *Catalog) Dependants(grant string) []string {
	path, _, word, ok := splitCustomer(grant)
	p := c.platforms[path]
	if !ok || p == nil {
		return nil
	}
	customer := strings.TrimSuffix(grant, word)
	names := p.dependants()
	for i, word := range names {
		names[i] = customer + word
	}
	return names
}

// Onboarding returns how owner adds customers.
func (c *Catalog) Onboarding(owner string) (refresh.Onboarding, error) {
	if p, ok := c.platforms[owner]; ok {
		return p.onboarding(), nil
	}
	return refresh.Onboarding{}, &credential.Error{Reason: credential.NotFound, RetryAfter: credential.Never, Message: "no such platform or suite: " + owner}
}
