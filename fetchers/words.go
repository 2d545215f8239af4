package fetchers

import "cmp"

// words returns the meaning of an errcode, or "" if it is unknown. Clients are shown this instead
// of errmsg, which may repeat what was sent.
func words(p platform, errcode int) string {
	own := weixinWords
	if p == wecom {
		own = wecomWords
	}
	return cmp.Or(own[errcode], commonWords[errcode])
}

// commonWords are the codes with the same meaning on both platforms.
var commonWords = map[int]string{
	-1:    "system busy",
	40014: "invalid access_token",
	41001: "access_token missing",
	41004: "secret missing",
	42001: "access_token expired",
	43001: "GET required",
	43002: "POST required",
	43003: "HTTPS required",
	44002: "empty request body",
	45033: "too many concurrent calls",
	47001: "malformed request body",
}

// weixinWords are the codes of Official Accounts, Mini Programs and the Open Platform.
var weixinWords = map[int]string{
	40001: "invalid secret, or access_token not the latest",
	40002: "invalid grant_type",
	40013: "invalid appid",
	40089: "invalid platform id",
	40125: "invalid appsecret",
	40164: "IP address not in the allowlist",
	40170: "count over the limit",
	40243: "appsecret frozen",
	41002: "appid missing",
	41018: "component_appid missing",
	42006: "component_access_token expired",
	42007: "access_token and refresh_token revoked: the account's password was changed",
	45009: "quota of API calls exceeded",
	45011: "too many API calls in this minute",
	45035: "IP address not in the allowlist",
	48001: "API not granted to this account",
	48004: "API banned for this account",
	48006: "no clear_quota left this month",
	48017: "retired address of WeChat's API",
	50002: "account frozen or closed",
	50004: "access_token not allowed for this account",
	61000: "invalid component type",
	61001: "type and appid of the component do not match",
	61003: "the account has not authorized the component",
	61004: "IP address not in the allowlist",
	61005: "component_verify_ticket expired",
	61006: "invalid component_verify_ticket",
	61007: "the account has not granted this API to the component",
	61008: "repeated key in the request",
	61009: "invalid authorization code",
	61010: "authorization code expired",
	61011: "invalid component",
	61012: "invalid option name",
	61013: "invalid option value",
	61014: "component_access_token required",
	61015: "authorizer_access_token required",
	61016: "permission set to be confirmed by the account",
	61017: "permission set not granted to the component",
	61023: "invalid authorizer_refresh_token",
	61024: "api_component_token required for a component",
	61028: "the component is not published",
	61029: "the component must be published again",
	61030: "the component cannot be withdrawn",
	76003: "invalid cgi_path",
	76021: "invalid cgi_path",
	76022: "cgi_path of another kind of account",
	89501: "IP address to be confirmed by the administrator",
	89502: "IP address to be confirmed by the administrator",
	89503: "IP address to be confirmed by the administrator",
	89504: "IP address to be confirmed by the administrator",
	89505: "IP address to be confirmed by the administrator",
	89506: "IP address refused by the administrator",
	89507: "IP address refused by the administrator",
}

// wecomWords are the codes of WeCom.
var wecomWords = map[int]string{
	6000:    "data version conflict",
	40001:   "invalid secret",
	40013:   "invalid corpid",
	40056:   "invalid agentid",
	40058:   "invalid parameter",
	40077:   "invalid pre_auth_code",
	40078:   "invalid or used auth_code",
	40080:   "invalid suite_secret",
	40082:   "invalid suite_access_token or provider_access_token",
	40083:   "invalid suite_id",
	40084:   "invalid permanent_code",
	40085:   "suite_ticket missing or expired",
	40086:   "invalid third-party appid",
	40091:   "invalid secret: of another corp",
	41002:   "corpid missing",
	41021:   "suite_id missing",
	41022:   "suite_access_token missing",
	41023:   "suite_ticket missing",
	41024:   "suite_secret missing",
	41025:   "permanent_code missing",
	42007:   "pre_auth_code expired",
	42008:   "auth_code expired",
	42009:   "suite_access_token expired",
	45009:   "limit of API calls per minute or hour exceeded",
	48002:   "API not granted",
	48003:   "suite_access_token of another suite",
	48004:   "the suite is not authorized by this corp",
	48005:   "API retired",
	50001:   "domain not trusted",
	50003:   "app disabled",
	60020:   "IP address not in the allowlist",
	91040:   "invalid ticket type",
	301002:  "no right to this app",
	710000:  "no such corp",
	2000002: "no such corp",
}
