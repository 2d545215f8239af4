package fetchers

import "time"

// platform is the vendor's API. The same errcode has different meanings on the two.
type platform uint8

const (
	weixin platform = iota // Official Accounts, Mini Programs, Open Platform: api.weixin.qq.com
	wecom                  // WeCom: qyapi.weixin.qq.com
)

// host is the base URL of the platform's API.
func (p platform) host() string {
	if p == wecom {
		return "https://qyapi.weixin.qq.com"
	}
	return "https://api.weixin.qq.com"
}

// reaction returns the reaction to errcode in answer to q, and the wait that the vendor requires,
// if any.
//
// Besides the platform, two things decide. An endpoint may have its own meaning for a code. A code
// that reports a dead token means the parent if the call had one, and otherwise the account's own
// secret. For example, 40001 is a wrong secret at /cgi-bin/token, and a superseded token at
// /cgi-bin/ticket/getticket.
func (q *call) reaction(errcode int) (Reaction, time.Duration) {
	r, special := q.special[errcode]
	switch {
	case special:
	case q.platform == wecom:
		r = wecomReaction(errcode)
	default:
		r = weixinReaction(errcode)
	}
	if r == ParentDead && !q.child {
		r = Misconfigured
	}
	return r, pause(q.platform, errcode)
}

// weixinReaction is the table of Official Accounts, Mini Programs and the Open Platform. Its
// sources are WeChat's page of each endpoint (developers.weixin.qq.com/doc, as of November 2026)
// and the tables of WxJava of January 2025, which follow WeChat's. docs/errcodes.md describes what
// tokend does about each errcode.
//
// An unknown code is treated as a wrong setting: a long hold that ends by itself and is shown to
// operators. A faster retry could use up a quota on a permanent error.
func weixinReaction(errcode int) Reaction {
	switch errcode {
	case -1, // system busy
		45033: // too many concurrent calls; its other meaning, a limit on cards, does not apply here
		return Retry

	case 40001, // access_token invalid or not the latest; without a token: wrong secret
		40014, // access_token malformed, or of another account
		42001, // access_token expired
		42006: // component_access_token expired
		return ParentDead

	case 61005, // component_verify_ticket expired
		61006: // component_verify_ticket invalid
		return NewTicket

	case 42007, // the account's password was changed: its tokens and grants are dead
		61003, // the component is not authorized by this account
		61023: // authorizer_refresh_token invalid
		return Reauthorize

	case 61009, // authorization code invalid
		61010: // authorization code expired
		return CodeRefused

	case 40164, // address not in the allowlist
		45035,                             // likewise, on some products
		61004,                             // likewise, for components; newest guide: also accounts
		89501, 89502, 89503, 89504, 89505, // the administrator must confirm this address
		89506, 89507: // the administrator has rejected it
		return AddressRefused

	case 45009: // a quota of the endpoint; errmsg may name the daily one wrongly
		return QuotaDay
	case 45011: // too many calls this minute
		return QuotaMinute

	case 40002, // grant_type
		40089,                      // platform id: not seen on token endpoints
		40170,                      // count over the limit
		41001, 41002, 41004, 41018, // access_token, appid, secret, component_appid missing
		43001, 43002, 43003, // GET, POST, HTTPS required
		44002,               // empty body
		47001,               // body is not JSON
		61008, 61012, 61013, // repeated key; option name; option value
		61014, 61015, // the component's token instead of the account's, and vice versa
		76003, 76021, 76022: // cgi_path of quota/get
		return Malformed

	case 40013, // appid
		40125,        // secret
		40243,        // secret frozen
		48001, 48004, // API not granted; banned
		48006,        // no clear_quota left this month
		48017,        // a retired address of WeChat: a hosts file, or stale DNS
		50002, 50004, // account closed; penalized
		61000, 61001, 61011, // not this component
		61007, 61016, 61017, // permission set not granted, or not confirmed
		61024,               // a component's appid at /cgi-bin/token
		61028, 61029, 61030: // component unpublished
		return Misconfigured
	}
	return Misconfigured
}

// wecomReaction is WeCom's table (developer.work.weixin.qq.com/document/path/90455, as of November
// 2026, as WxJava and Senparc transcribe it). Codes in no table are treated as in [weixinReaction];
// here a hold matters more, since 2000 refusals within an hour block the caller.
func wecomReaction(errcode int) Reaction {
	switch errcode {
	case -1, // system busy
		6000,  // data version conflict
		45033: // too many concurrent calls
		return Retry

	case 40014, // access_token invalid
		42001, // access_token expired
		40082, // suite_access_token or provider_access_token invalid
		42009: // suite_access_token expired
		return ParentDead

	case 40085: // suite_ticket missing or expired
		return NewTicket

	case 40078, 42008: // auth_code invalid or used; expired
		return CodeRefused

	case 40084, // permanent_code
		48004: // authorization never given, or canceled
		return Reauthorize

	case 60020: // address not trusted; the token stays valid
		return AddressRefused

	case 45009: // a limit per minute or hour; errmsg does not tell which
		return QuotaMinute

	case 40058, // a parameter violates a constraint
		40077, 42007, // pre_auth_code invalid, expired: each request fetches a new one
		41001, 41002, 41004, // access_token, corpid, secret missing
		41021, 41022, 41023, 41024, 41025, // suite_id, its token, ticket, secret, permanent_code missing
		43001, 43002, 43003, // GET, POST, HTTPS required
		44002, // empty body
		47001, // body is not JSON
		91040: // ticket type
		return Malformed

	case 40001, // secret; never a token, unlike on the other platform
		40013,               // corpid
		40056,               // agentid
		40080, 40083, 40086, // suite_secret, suite_id, third-party appid
		40091,                      // secret of another corp
		48002, 48003, 48005, 50001, // API not granted; wrong suite's token; API retired; domain untrusted
		50003,           // app disabled
		301002,          // no permission for this app
		710000, 2000002: // no such corp
		return Misconfigured
	}
	return Misconfigured
}

// pause returns the wait that the vendor requires.
func pause(p platform, errcode int) time.Duration {
	if p != weixin {
		return 0
	}
	switch errcode {
	case 89506: // the administrator has rejected this address more than once
		return 24 * time.Hour
	case 89507: // once
		return time.Hour
	}
	return 0
}
