package wechattest

import "cmp"

// words returns errmsg for the codes that this package returns by itself, and the codes most likely
// to be injected.
func words(p platform, code int) string {
	own := weixinWords
	if p == wecom {
		own = wecomWords
	}
	return cmp.Or(own(code), commonWords(code), "error")
}

func commonWords(code int) string {
	switch code {
	case -1:
		return "system error"
	case 40014:
		return "invalid access_token"
	case 41001:
		return "access_token missing"
	case 41004:
		return "secret missing"
	case 42001:
		return "access_token expired"
	case 43001:
		return "require GET method"
	case 43002:
		return "require POST method"
	case 44002:
		return "empty post data"
	case 47001:
		return "data format error"
	}
	return ""
}

func weixinWords(code int) string {
	switch code {
	case 40001:
		return "invalid credential, access_token is invalid or not latest"
	case 40002:
		return "invalid grant_type"
	case 40013:
		return "invalid appid"
	case 40097:
		return "invalid args"
	case 40125:
		return "invalid appsecret"
	case 40170:
		return "args count exceed count limit"
	case 40243:
		return "AppSecret is frozen"
	case 41002:
		return "appid missing"
	case 41018:
		return "missing component_appid"
	case 42006:
		return "component_access_token expired"
	case 42007:
		return "access_token and refresh_token exception"
	case 45009:
		return "reach max api daily quota limit"
	case 45011:
		return "api minute-quota reach limit must slower retry next minute"
	case 48001:
		return "api unauthorized"
	case 61003:
		return "component is not authorized by this account"
	case 61004:
		return "access clientip is not registered"
	case 61005:
		return "component ticket is expired"
	case 61006:
		return "component ticket is invalid"
	case 61007:
		return "api is unauthorized to component"
	case 61009:
		return "code is invalid"
	case 61010:
		return "code is expired"
	case 61011:
		return "invalid component"
	case 61014:
		return "must use component token for component api"
	case 61015:
		return "must use api_authorizer_token for this api"
	case 61023:
		return "refresh_token is invalid"
	case 61024:
		return "must use api_component_token to get token for component acct"
	case 89503:
		return "this ip must be confirmed by the administrator"
	}
	return ""
}

func wecomWords(code int) string {
	switch code {
	case 40001:
		return "invalid credential"
	case 40013:
		return "invalid corpid"
	case 40035:
		return "invalid parameter"
	case 40056:
		return "invalid agentid"
	case 40058:
		return "auth_code exceed min length 64"
	case 40078:
		return "invalid auth_code"
	case 40080:
		return "invalid suite_secret"
	case 40082:
		return "invalid suite_acccess_token or provider_access_token" // the vendor's spelling
	case 40083:
		return "invalid suite_id"
	case 40084:
		return "invalid permanent_code"
	case 40085:
		return "invalid suite_ticket"
	case 41002:
		return "corpid missing"
	case 41021:
		return "suite_id missing"
	case 41022:
		return "suite_access_token missing"
	case 41023:
		return "suite_ticket missing"
	case 41024:
		return "suite_secret missing"
	case 41025:
		return "permanent_code missing"
	case 42008:
		return "auth_code expired"
	case 42009:
		return "suite_access_token expired"
	case 45009:
		return "api freq out of limit"
	case 45033:
		return "api concurrent out of limit"
	case 48002:
		return "api forbidden"
	case 48004:
		return "suite is not authorized"
	case 50003:
		return "app is disabled"
	case 60020:
		return "not allow to access from your ip"
	case 91040:
		return "get ticket type is invalid"
	case 301002:
		return "no permission to operate the agent"
	}
	return ""
}
