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
	specs     []refresh.Spec      // specs of one owner are adjacent
	byName    map[string]int      // index into specs
	platforms map[string]platform // by path: open_platform/<appid>, open_work/<suite_id>
	pushed    []string            // names of the platforms' tickets
	limits    config.Limits
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

// New returns the catalog of file, whose calls go to up.
func New(file *config.Config, up *Upstream) *Catalog {
	n := specsOf(file)
	c := &Catalog{specs: make([]refresh.Spec, 0, n), byName: make(map[string]int, n), platforms: map[string]platform{}, limits: file.Limits}
	for _, a := range file.OfficialAccounts {
		o := c.app(a, up)
		c.add(o.child("jsapi_ticket", policy.Ticket, fetchers.Ticket{Client: up.weixin, Type: fetchers.JSAPI}))
		c.add(o.child("wx_card_ticket", policy.Ticket, fetchers.Ticket{Client: up.weixin, Type: fetchers.WXCard}))
		c.add(o.child("sdk_ticket", policy.Ticket, fetchers.Ticket{Client: up.weixin, Type: fetchers.SDK}))
	}
	for _, a := range file.MiniPrograms {
		c.app(a, up)
	}
	// The apps of a corp share a quota and must be adjacent. In the file they may be anywhere.
	apps := slices.Clone(file.Work)
	slices.SortStableFunc(apps, func(a, b config.WorkApp) int { return strings.Compare(a.CorpID, b.CorpID) })
	for _, a := range apps {
		o := owner{host: workHost, path: "work/" + a.CorpID + "/" + a.AgentID, pays: "work/" + a.CorpID, settings: a.Settings()}
		c.add(o.root("access_token", policy.CorpToken, fetchers.CorpToken{Client: up.work, CorpID: a.CorpID, Secret: a.Secret}))
		c.add(o.child("jsapi_ticket", policy.CorpTicket, fetchers.CorpTicket{Client: up.work}))
		c.add(o.child("agent_config_ticket", policy.CorpTicket, fetchers.AgentTicket{Client: up.work}))
		for _, d := range a.Downstream {
			s := o.child(d.CorpID+"/access_token", policy.DownstreamToken,
				fetchers.DownstreamToken{Client: up.work, CorpID: d.CorpID, AgentID: d.AgentID, BusinessType: d.BusinessType})
			s.Settings, s.Target = a.DownstreamSettings(d), d.Target()
			c.add(s)
		}
	}
	for _, p := range file.OpenWork {
		o := owner{host: workHost, path: "open_work/" + p.CorpID, pays: "open_work/" + p.CorpID, settings: p.Settings()}
		c.add(o.root("provider_access_token", policy.ProviderToken, fetchers.ProviderToken{Client: up.work, CorpID: p.CorpID, Secret: p.ProviderSecret}))
		for _, s := range p.Suites {
			c.suite(newSuite(s, up))
		}
	}
	for _, p := range file.OpenPlatforms {
		c.component(newComponent(p, up))
	}
	return c
}

// specsOf returns the approximate number of specs for file.
func specsOf(file *config.Config) int {
	return 4*len(file.OfficialAccounts) + len(file.MiniPrograms) + 3*len(file.Work) + 3*len(file.OpenPlatforms) + 4*len(file.OpenWork)
}

// app adds the access token of an official account or a mini program.
func (c *Catalog) app(a config.App, up *Upstream) owner {
	o := owner{host: weixinHost, path: a.Family + "/" + a.AppID, pays: a.Family + "/" + a.AppID, settings: a.Settings()}
	if a.UseStableAccessToken {
		c.add(o.root("access_token", policy.StableToken, fetchers.StableToken{Client: up.weixin, AppID: a.AppID, Secret: a.Secret}))
	} else {
		c.add(o.root("access_token", policy.RotatingToken, fetchers.AccessToken{Client: up.weixin, AppID: a.AppID, Secret: a.Secret}))
	}
	return o
}

func (c *Catalog) add(s refresh.Spec) {
	c.byName[s.Name] = len(c.specs)
	c.specs = append(c.specs, s)
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
	s.Parent = o.path + "/access_token"
	s.Account = s.Name
	return s
}

// Lookup returns the spec of name.
func (c *Catalog) Lookup(name string) (refresh.Spec, error) {
	if i, ok := c.byName[name]; ok {
		return c.specs[i], nil
	}
	if path, child, word, ok := splitCustomer(name); ok {
		if p, ok := c.platforms[path]; ok {
			if s, ok := p.customer(name, child, word); ok {
				return s, nil
			}
		}
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
		for i := range c.specs {
			if !yield(c.specs[i].Name) {
				return
			}
		}
	}
}

// Specs yields the specs of Names.
func (c *Catalog) Specs() iter.Seq[*refresh.Spec] {
	return func(yield func(*refresh.Spec) bool) {
		for i := range c.specs {
			if !yield(&c.specs[i]) {
				return
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
