package fetchers

// text is the meaning of an errcode in two languages.
type text struct{ english, chinese string }

// words returns the meaning of an errcode in English, or "" if it is unknown. Clients are shown
// this instead of errmsg, which may repeat what was sent.
func words(p platform, errcode int) string { return meaning(p, errcode).english }

// Meaning returns the meaning of an errcode in English and in Chinese, or "" if it is unknown. The
// errcode is WeCom's, or one of Official Accounts, Mini Programs and the Open Platform.
func Meaning(isWeCom bool, errcode int) (english, chinese string) {
	p := weixin
	if isWeCom {
		p = wecom
	}
	t := meaning(p, errcode)
	return t.english, t.chinese
}

func meaning(p platform, errcode int) text {
	own := weixinWords
	if p == wecom {
		own = wecomWords
	}
	if t, ok := own[errcode]; ok {
		return t
	}
	return commonWords[errcode]
}

// commonWords are the codes with the same meaning on both platforms.
var commonWords = map[int]text{
	-1:    {"system busy", "系统繁忙"},
	40014: {"invalid access_token", "access_token 无效"},
	41001: {"access_token missing", "缺少 access_token"},
	41004: {"secret missing", "缺少 secret"},
	42001: {"access_token expired", "access_token 已过期"},
	43001: {"GET required", "需要 GET 请求"},
	43002: {"POST required", "需要 POST 请求"},
	43003: {"HTTPS required", "需要 HTTPS"},
	44002: {"empty request body", "请求体为空"},
	45033: {"too many concurrent calls", "并发调用过多"},
	47001: {"malformed request body", "请求体格式有误"},
}

// weixinWords are the codes of Official Accounts, Mini Programs and the Open Platform.
var weixinWords = map[int]text{
	40001: {"invalid secret, or access_token not the latest", "secret 无效，或 access_token 不是最新的"},
	40002: {"invalid grant_type", "grant_type 无效"},
	40013: {"invalid appid", "AppID 无效"},
	40089: {"invalid platform id", "平台 ID 无效"},
	40125: {"invalid appsecret", "AppSecret 无效"},
	40164: {"IP address not in the allowlist", "IP 不在白名单"},
	40170: {"count over the limit", "数量超过限制"},
	40243: {"appsecret frozen", "AppSecret 已冻结"},
	41002: {"appid missing", "缺少 appid"},
	41018: {"component_appid missing", "缺少 component_appid"},
	42006: {"component_access_token expired", "component_access_token 已过期"},
	42007: {"access_token and refresh_token revoked: the account's password was changed", "账号修改了密码，access_token 和 refresh_token 已失效"},
	45009: {"quota of API calls exceeded", "接口调用超过配额"},
	45011: {"too many API calls in this minute", "这一分钟内调用过于频繁"},
	45035: {"IP address not in the allowlist", "IP 不在白名单"},
	48001: {"API not granted to this account", "账号没有这个接口的权限"},
	48004: {"API banned for this account", "账号的接口权限被封禁"},
	48006: {"no clear_quota left this month", "本月的 clear_quota 次数已用完"},
	48017: {"retired address of WeChat's API", "微信已停用的接口地址"},
	50002: {"account frozen or closed", "账号被冻结或已注销"},
	50004: {"access_token not allowed for this account", "账号不允许使用 access_token"},
	61000: {"invalid component type", "第三方平台类型无效"},
	61001: {"type and appid of the component do not match", "第三方平台的类型与 AppID 不符"},
	61003: {"the account has not authorized the component", "账号没有授权给该第三方平台"},
	61004: {"IP address not in the allowlist", "IP 不在白名单"},
	61005: {"component_verify_ticket expired", "component_verify_ticket 已过期"},
	61006: {"invalid component_verify_ticket", "component_verify_ticket 无效"},
	61007: {"the account has not granted this API to the component", "账号没有把这个接口授权给第三方平台"},
	61008: {"repeated key in the request", "请求中有重复的键"},
	61009: {"invalid authorization code", "授权码无效"},
	61010: {"authorization code expired", "授权码已过期"},
	61011: {"invalid component", "第三方平台无效"},
	61012: {"invalid option name", "选项名无效"},
	61013: {"invalid option value", "选项值无效"},
	61014: {"component_access_token required", "应使用 component_access_token"},
	61015: {"authorizer_access_token required", "应使用 authorizer_access_token"},
	61016: {"permission set to be confirmed by the account", "权限集有待账号确认"},
	61017: {"permission set not granted to the component", "权限集没有授权给第三方平台"},
	61023: {"invalid authorizer_refresh_token", "authorizer_refresh_token 无效"},
	61024: {"api_component_token required for a component", "第三方平台应使用 api_component_token"},
	61028: {"the component is not published", "第三方平台未发布"},
	61029: {"the component must be published again", "第三方平台需要重新发布"},
	61030: {"the component cannot be withdrawn", "第三方平台不能撤回"},
	76003: {"invalid cgi_path", "cgi_path 无效"},
	76021: {"invalid cgi_path", "cgi_path 无效"},
	76022: {"cgi_path of another kind of account", "cgi_path 属于另一类账号"},
	89501: {"IP address to be confirmed by the administrator", "IP 有待管理员确认"},
	89502: {"IP address to be confirmed by the administrator", "IP 有待管理员确认"},
	89503: {"IP address to be confirmed by the administrator", "IP 有待管理员确认"},
	89504: {"IP address to be confirmed by the administrator", "IP 有待管理员确认"},
	89505: {"IP address to be confirmed by the administrator", "IP 有待管理员确认"},
	89506: {"IP address refused by the administrator", "管理员拒绝了这个 IP"},
	89507: {"IP address refused by the administrator", "管理员拒绝了这个 IP"},
}

// wecomWords are the codes of WeCom.
var wecomWords = map[int]text{
	6000:    {"data version conflict", "数据版本冲突"},
	40001:   {"invalid secret", "secret 无效"},
	40013:   {"invalid corpid", "CorpID 无效"},
	40056:   {"invalid agentid", "AgentID 无效"},
	40058:   {"invalid parameter", "参数无效"},
	40077:   {"invalid pre_auth_code", "pre_auth_code 无效"},
	40078:   {"invalid or used auth_code", "auth_code 无效或已使用"},
	40080:   {"invalid suite_secret", "suite_secret 无效"},
	40082:   {"invalid suite_access_token or provider_access_token", "suite_access_token 或 provider_access_token 无效"},
	40083:   {"invalid suite_id", "suite_id 无效"},
	40084:   {"invalid permanent_code", "永久授权码无效"},
	40085:   {"suite_ticket missing or expired", "suite_ticket 不存在或已过期"},
	40086:   {"invalid third-party appid", "第三方应用的 appid 无效"},
	40091:   {"invalid secret: of another corp", "secret 无效：属于另一个企业"},
	41002:   {"corpid missing", "缺少 corpid"},
	41021:   {"suite_id missing", "缺少 suite_id"},
	41022:   {"suite_access_token missing", "缺少 suite_access_token"},
	41023:   {"suite_ticket missing", "缺少 suite_ticket"},
	41024:   {"suite_secret missing", "缺少 suite_secret"},
	41025:   {"permanent_code missing", "缺少 permanent_code"},
	42007:   {"pre_auth_code expired", "pre_auth_code 已过期"},
	42008:   {"auth_code expired", "auth_code 已过期"},
	42009:   {"suite_access_token expired", "suite_access_token 已过期"},
	45009:   {"limit of API calls per minute or hour exceeded", "接口调用超过每分钟或每小时的频率限制"},
	48002:   {"API not granted", "没有这个接口的权限"},
	48003:   {"suite_access_token of another suite", "suite_access_token 属于另一个套件"},
	48004:   {"the suite is not authorized by this corp", "这个企业没有授权给该套件"},
	48005:   {"API retired", "接口已停用"},
	50001:   {"domain not trusted", "域名不是可信域名"},
	50003:   {"app disabled", "应用已停用"},
	60020:   {"IP address not in the allowlist", "IP 不在可信 IP 中"},
	91040:   {"invalid ticket type", "ticket 类型无效"},
	301002:  {"no right to this app", "没有这个应用的权限"},
	710000:  {"no such corp", "企业不存在"},
	2000002: {"no such corp", "企业不存在"},
}
