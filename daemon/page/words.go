package page

// words is the page's texts in one language.
type words struct {
	Code  string // as in an Accept-Language
	Other string // the code of the other language
	Offer string // the other language's own name

	Title, Version, Up, As string
	Well, Trouble          string // the summary
	Attention              string
	Accounts               string
	Credential, State      string
	Left, Next             string
	Fingerprint            string
	Fetched, Failed, Do    string
	Again                  string // with the time until the next attempt
	NotAgain               string
	Without                string
	Undurable              string
	None                   string
	Customers, Holds       string
	Budgets                string
	Work, WeChat           string
	Reads, Hits, Waits     string
	Connections, TurnedOff string
	Errors                 string
	Endpoint, Calls        string
	Refused, Unreachable   string
	Average, Hosts         string
	Pushes, PushesRefused  string
	Refreshes              string
	Disk, DiskWell         string
	DiskRefuses            string
	Nothing, Reading       string
	Stop, Comma            string // between sentences, between names
	WeCom                  string
	Limits                 string
	Unseen                 string // for users who may not see the page

	Families map[string]string // by the first segment of a name
	States   map[string]string
	Quotas   map[string]string // by the word of a budget
	Units    [4]string         // day, hour, minute, second
	Advice   advice
}

// advice is what to do, by the reason why a credential is unavailable.
type advice struct {
	Ticket, Address, AddressUnknown, Wrong, Quota, Rate, Grant, Code, Defect, Busy, Network, Parent, Self, Fault string
}

var english = words{
	Code: "en", Other: "zh", Offer: "中文",
	Title: "tokend", Version: "version", Up: "up", As: "as of",
	Well: "All is well", Trouble: "Needs attention",
	Attention: "Needs attention", Accounts: "Accounts",
	Credential: "credential", State: "state", Left: "valid for", Next: "next refresh", Fingerprint: "fingerprint",
	Fetched: "fetched", Failed: "failed", Do: "What to do: ",
	Again: "retried in %s", NotAgain: "not retried until an operator or the customer acts",
	Without:   "Unavailable because of it: ",
	Undurable: "Served from memory, not on disk", None: "–", Stop: ". ", Comma: ", ",
	Customers: "Customers' credentials in memory", Holds: "Customers' credentials on hold",
	Budgets: "Use of limits",
	Work:    "Since the start", WeChat: "Calls to WeChat",
	Reads: "reads", Hits: "answered from memory", Waits: "had to wait", Connections: "open connections", TurnedOff: "refused connections",
	Errors: "error replies", Endpoint: "endpoint", Calls: "calls", Refused: "refused", Unreachable: "unreachable", Average: "average", Hosts: "hosts in use: ",
	Pushes: "pushes accepted", PushesRefused: "pushes refused or not stored", Refreshes: "refreshes, failed refreshes",
	Disk: "disk", DiskWell: "accepts writes", DiskRefuses: "The disk refuses writes: fetched values are served from memory. Free or repair the disk. The log has the cause.",
	Nothing: "No account is configured.", Reading: "The store is still being read: not all is shown yet.", WeCom: "all of WeCom", Limits: "within",
	Unseen: "Open this page on the host itself, by its IP address, or from an address in monitors.\nThe log has the reason for this refusal and the remedy.",
	Families: map[string]string{
		"official_account": "Official account", "mini_program": "Mini program", "open_platform": "Third-party platform",
		"work": "WeCom app", "open_work": "WeCom service provider",
	},
	States: map[string]string{"idle": "idle", "fresh": "fresh", "stale": "stale", "expired": "expired", "waiting": "waiting", "held": "held"},
	Quotas: map[string]string{"force": "forced refreshes", "token": "token calls", "ticket": "ticket calls", "erroneous calls": "erroneous calls"},
	Units:  [4]string{" d", " h", " min", " s"},
	Advice: advice{
		Ticket:         "WeChat pushes this ticket every 10 minutes. Check the callback address in WeChat's console, that the web server forwards /callback/, and the log for refused pushes.",
		Address:        "WeChat does not accept this host's address %s. Add the address to the allowlist in WeChat's console, then run: sudo tokend refresh %s",
		AddressUnknown: "WeChat does not accept this host's address. Add the address to the allowlist in WeChat's console, then run: sudo tokend refresh %s",
		Wrong:          "WeChat refuses the account as configured. Compare the ids, the secret and the permissions with WeChat's console. After a change of the configuration, run: sudo systemctl reload tokend. After a change in the console, run: sudo tokend refresh %s",
		Quota:          "WeChat's quota of this endpoint is used up. tokend retries by itself, at the latest after midnight in Beijing. Look for other programs that fetch with this account.",
		Rate:           "Too many calls within a minute or an hour. tokend retries by itself. Look for other programs that fetch with this account.",
		Grant:          "The customer must authorize again.",
		Code:           "An authorization code was used or has expired. Let the customer start the authorization again.",
		Defect:         "WeChat finds the request malformed. That is a bug of tokend, or a wrong URL under [upstream]. Report it with the errcode.",
		Busy:           "WeChat is busy. tokend retries by itself.",
		Network:        "WeChat was unreachable or returned an invalid response. tokend retries by itself. If it lasts, check this host's network, DNS and firewall.",
		Parent:         "The credential that is needed to fetch this one is unavailable: see its entry.",
		Self:           "tokend stopped before a WeChat quota was exhausted. It retries by itself.",
		Fault:          "Internal error of tokend: see its log.",
	},
}

var chinese = words{
	Code: "zh", Other: "en", Offer: "English",
	Title: "tokend", Version: "版本", Up: "已运行", As: "截至",
	Well: "一切正常", Trouble: "需要处理",
	Attention: "需要处理", Accounts: "账号",
	Credential: "凭据", State: "状态", Left: "剩余有效期", Next: "下次刷新", Fingerprint: "指纹",
	Fetched: "获取于", Failed: "失败于", Do: "你要做什么：",
	Again: "%s后重试", NotAgain: "运维人员或客户处理之前不再重试",
	Without:   "因此不可用：",
	Undurable: "仅由内存提供，未落盘", None: "–", Stop: "。", Comma: "、",
	Customers: "内存中的客户凭据", Holds: "已暂停的客户凭据",
	Budgets: "限额用量",
	Work:    "启动以来", WeChat: "调用微信",
	Reads: "读取", Hits: "由内存直接响应", Waits: "需要等待", Connections: "当前连接", TurnedOff: "被拒绝的连接",
	Errors: "错误响应", Endpoint: "接口", Calls: "次数", Refused: "被拒绝", Unreachable: "连不上", Average: "平均耗时", Hosts: "正在使用的域名：",
	Pushes: "已接受的推送", PushesRefused: "被拒绝或未能保存的推送", Refreshes: "刷新，其中失败",
	Disk: "磁盘", DiskWell: "写入正常", DiskRefuses: "磁盘拒绝写入：获取的值由内存提供。请腾出空间或修复磁盘，原因见日志。",
	Nothing: "没有配置任何账号。", Reading: "数据库仍在读取，尚未全部显示。", WeCom: "企业微信合计", Limits: "周期",
	Unseen: "请在本机上用 IP 地址访问，或从 monitors 中的地址访问。\n拒绝的原因和处理办法见日志。",
	Families: map[string]string{
		"official_account": "公众号", "mini_program": "小程序", "open_platform": "第三方平台",
		"work": "企业微信应用", "open_work": "企业微信服务商",
	},
	States: map[string]string{"idle": "未请求", "fresh": "有效", "stale": "有效，刷新失败", "expired": "已过期", "waiting": "等待推送", "held": "已暂停"},
	Quotas: map[string]string{"force": "强制刷新", "token": "令牌调用", "ticket": "ticket 调用", "erroneous calls": "被拒绝的调用"},
	Units:  [4]string{" 天", " 小时", " 分钟", " 秒"},
	Advice: advice{
		Ticket:         "微信每 10 分钟推送一次这个 ticket。请检查后台填写的回调地址、Web 服务器是否转发 /callback/，并在日志里查找被拒绝的推送。",
		Address:        "微信不接受本机的 IP %s。请在后台把它加入 IP 白名单（企业微信为企业可信 IP），然后执行：sudo tokend refresh %s",
		AddressUnknown: "微信不接受本机的 IP。请在后台把它加入 IP 白名单（企业微信为企业可信 IP），然后执行：sudo tokend refresh %s",
		Wrong:          "微信拒绝了当前配置的账号。请与后台核对各个 ID、secret 和权限。如果改了配置，执行：sudo systemctl reload tokend。如果改了后台，执行：sudo tokend refresh %s",
		Quota:          "微信对这个接口的配额已用完。tokend 会自动重试，最迟在北京时间零点之后。请查找还有哪些程序在用这个账号获取凭据。",
		Rate:           "一分钟或一小时内调用过多，tokend 会自动重试。请查找还有哪些程序在用这个账号获取凭据。",
		Grant:          "请客户重新授权。",
		Code:           "授权码已使用或已过期，请客户重新发起授权。",
		Defect:         "微信认为请求格式有误。这是 tokend 的缺陷，或者 [upstream] 的 URL 写错了。请附上 errcode 报告。",
		Busy:           "微信繁忙，tokend 会自动重试。",
		Network:        "连不上微信，或微信返回的内容无效，tokend 会自动重试。如果持续出现，检查本机的网络、DNS 和防火墙。",
		Parent:         "获取它所需的上级凭据不可用，请看上级凭据。",
		Self:           "tokend 在达到微信的配额之前停了下来，会自动重试。",
		Fault:          "tokend 的故障，见日志。",
	},
}
