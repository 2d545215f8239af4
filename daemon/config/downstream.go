package config

import (
	"strconv"

	"github.com/pelletier/go-toml/v2/unstable"
)

// Downstream is a corp that an upstream corp shares its app with.
type Downstream struct {
	CorpID       string
	AgentID      int64 // of the app in the downstream corp
	BusinessType int   // 0: linked corps (企业互联), 1: upstream and downstream (上下游)
	Line         int
}

// Target returns the parameters of the token's fetch except the corp. If they change, the token
// changes.
func (d Downstream) Target() string {
	return strconv.FormatInt(d.AgentID, 10) + "/" + strconv.Itoa(d.BusinessType)
}

// downstream reads the downstream corps of an app. upstream is the app's own corp.
func (t *table) downstream(upstream string) []Downstream {
	n, tables := t.tables("work.", "downstream")
	if n == 0 {
		return nil
	}
	var corps []Downstream
	known := make(seen, n)
	for t := range tables {
		d := Downstream{CorpID: t.id("corp_id"), AgentID: t.agent("agent_id"), BusinessType: t.businessType("business_type"), Line: t.at()}
		t.done()
		if d.CorpID != "" && d.CorpID == upstream {
			t.problemf("corp_id", "%s is the upstream corp itself", d.CorpID)
		}
		known.twice(t, d.CorpID)
		corps = append(corps, d)
	}
	return corps
}

// agent returns a required agentid. WeCom accepts numbers only here.
func (t *table) agent(key string) int64 {
	v := t.require(key)
	if v == nil || !t.is(unstable.String, key, v, `a number in quotation marks, such as "1000005"`) {
		return 0
	}
	s := string(v.text)
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 1 || strconv.FormatInt(n, 10) != s {
		t.problemf(key, "%q must be a number, such as \"1000005\": the agentid of the app in the downstream corp", clip(s))
		return 0
	}
	return n
}

// businessType returns an optional business_type.
func (t *table) businessType(key string) int {
	const types = "0 (企业互联) or 1 (上下游)"
	v := t.lookup(key)
	if v == nil || !t.is(unstable.Integer, key, v, types) {
		return 0
	}
	n := v.integer()
	if n != 0 && n != 1 {
		t.problemf(key, "must be %s, not %d", types, n)
		return 0
	}
	return int(n)
}
