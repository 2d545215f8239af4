package page

// words are the page's texts in one language.
type words struct {
	Code  string // as in an Accept-Language
	Other string // the code of the other language
	Offer string // its name, in itself

	Title, Version, Up, As string
	Well, Trouble          string // the verdict
	Attention              string
	Accounts               string
	Credential, State      string
	Left, Next             string
	Fingerprint            string
	Fetched, Failed, Do    string
	Again, NotAgain        string
	Without                string
	Undurable              string
	None                   string
	Customers, Holds       string
	Kind, Number, Why      string
	Budgets, Account       string
	Budget, Spent          string
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
	WeCom                  string
	Limits                 string
	Unseen                 string // for who may not see the page

	Families map[string]string // by the first segment of a name
	States   map[string]string
	Quotas   map[string]string // by the word of a budget
	Units    [4]string         // day, hour, minute, second
	Advice   advice
}

// advice is what to do, by why a credential cannot be had.
type advice struct {
	Ticket, Address, AddressUnknown, Wrong, Day, Minute, Grant, Code, Defect, Busy, Network, Parent, Self, Fault string
}

var english = words{
	Code: "en", Other: "zh", Offer: "中文",
	Title: "tokend", Version: "version", Up: "up", As: "as of",
	Well: "All is well", Trouble: "Needs attention",
	Attention: "Needs attention", Accounts: "Accounts",
	Credential: "credential", State: "state", Left: "valid for", Next: "next refresh", Fingerprint: "fingerprint",
	Fetched: "fetched", Failed: "failed", Do: "What to do", Again: "asked again in", NotAgain: "not asked again before somebody acts",
	Without:   "Not to be had because of it:",
	Undurable: "served from memory, not on disk", None: "–",
	Customers: "Customers' credentials in memory", Holds: "Customers' credentials not asked for just now", Kind: "kind", Number: "number", Why: "why",
	Budgets: "Budgets, as far as spent", Account: "account", Budget: "budget", Spent: "spent",
	Work: "Since the start", WeChat: "Calls to WeChat",
	Reads: "reads", Hits: "answered from memory", Waits: "had to wait", Connections: "connections now", TurnedOff: "turned away",
	Errors: "answered with an error", Endpoint: "endpoint", Calls: "calls", Refused: "refused", Unreachable: "unreachable", Average: "on average", Hosts: "hosts in use",
	Pushes: "pushes taken", PushesRefused: "pushes refused or not kept", Refreshes: "refreshes, failed ones",
	Disk: "disk", DiskWell: "takes what is written", DiskRefuses: "The disk does not take what is written: what is fetched is served from memory. Make room on it or mend it; the log says more.",
	Nothing: "No account is configured.", Reading: "What was kept is still being read: not all is shown yet.", WeCom: "all of WeCom", Limits: "within",
	Unseen: "To be seen on this host itself, asked for by its address, or from the addresses that are configured for it.\nWhy not here, and what to do, stands in the log.",
	Families: map[string]string{
		"official_account": "Official account", "mini_program": "Mini program", "open_platform": "Third-party platform",
		"work": "WeCom app", "open_work": "WeCom service provider",
	},
	States: map[string]string{"idle": "idle", "fresh": "fresh", "stale": "stale", "expired": "expired", "waiting": "waiting", "held": "held"},
	Quotas: map[string]string{"force": "forced refreshes", "token": "token calls", "ticket": "ticket calls", "erroneous calls": "erroneous calls"},
	Units:  [4]string{" d", " h", " min", " s"},
	Advice: advice{
		Ticket:         "WeChat pushes this ticket every ten minutes. Look whether the callback address in its console is right and the web server passes /callback/ on, and what the log says of refused pushes.",
		Address:        "WeChat does not know this host's address, %s: list it in its console (IP whitelist, trusted IP), then run: tokend refresh %s",
		AddressUnknown: "WeChat does not know this host's address: list it in its console (IP whitelist, trusted IP), then run: tokend refresh %s",
		Wrong:          "WeChat refuses the account as it is configured: compare its ids, its secret and its permissions with WeChat's console. After a change of the configuration: systemctl reload tokend. After one at WeChat's side: tokend refresh %s",
		Day:            "WeChat's quota of the day is spent; it ends at midnight, Beijing time. Look for other programs that fetch this account's tokens.",
		Minute:         "Too many calls within a minute or an hour; asked again by itself. Look for other programs that call with this account.",
		Grant:          "The customer has to authorize again.",
		Code:           "An authorization code was used up or too old: let the customer begin anew.",
		Defect:         "WeChat finds the request malformed: that is a defect of tokend. Please report it with the errcode.",
		Busy:           "WeChat is busy; asked again by itself.",
		Network:        "WeChat was not reached, or did not answer in its own words; asked again by itself. If it lasts, look at this host's network, DNS and firewall.",
		Parent:         "What it is fetched with cannot be had just now: see there.",
		Self:           "tokend's own guard before a quota of WeChat's; asked again by itself.",
		Fault:          "A fault of tokend's own: its log says more.",
	},
}

var chinese = words{
	Code: "zh", Other: "en", Offer: "English",
	Title: "tokend", Version: "版本", Up: "已运行", As: "截至",
	Well: "一切正常", Trouble: "需要处理",
	Attention: "需要处理", Accounts: "账号",
	Credential: "凭据", State: "状态", Left: "剩余有效期", Next: "下次刷新", Fingerprint: "指纹",
	Fetched: "获取于", Failed: "失败于", Do: "怎么办", Again: "再次请求在", NotAgain: "有人处理之前不再请求",
	Without:   "因此不可用:",
	Undurable: "仅在内存中,未写入磁盘", None: "–",
	Customers: "内存中的客户凭据", Holds: "暂不请求的客户凭据", Kind: "种类", Number: "数量", Why: "原因",
	Budgets: "已动用的配额", Account: "账号", Budget: "配额", Spent: "已用",
	Work: "启动以来", WeChat: "对微信的调用",
	Reads: "读取", Hits: "由内存直接回答", Waits: "需要等待", Connections: "当前连接", TurnedOff: "被拒连接",
	Errors: "以错误回答", Endpoint: "接口", Calls: "次数", Refused: "被拒绝", Unreachable: "未能到达", Average: "平均耗时", Hosts: "使用中的域名",
	Pushes: "已接收推送", PushesRefused: "被拒绝或未保存的推送", Refreshes: "刷新,其中失败",
	Disk: "磁盘", DiskWell: "写入正常", DiskRefuses: "磁盘无法写入:新获取的凭据暂由内存提供。请腾出空间或修复磁盘,详见日志。",
	Nothing: "没有配置任何账号。", Reading: "仍在读取已保存的内容:尚未全部显示。", WeCom: "企业微信全部", Limits: "周期",
	Unseen: "只能在本机上按地址访问,或从配置中列出的地址访问。\n此处为何不可见、该怎么办,请看日志。",
	Families: map[string]string{
		"official_account": "公众号", "mini_program": "小程序", "open_platform": "第三方平台",
		"work": "企业微信应用", "open_work": "企业微信服务商",
	},
	States: map[string]string{"idle": "空闲", "fresh": "有效", "stale": "有效,刷新失败", "expired": "已过期", "waiting": "等待推送", "held": "已暂停"},
	Quotas: map[string]string{"force": "强制刷新", "token": "token 调用", "ticket": "ticket 调用", "erroneous calls": "错误调用"},
	Units:  [4]string{" 天", " 小时", " 分", " 秒"},
	Advice: advice{
		Ticket:         "微信每十分钟推送一次此 ticket。请检查后台的回调地址是否正确、Web 服务器是否转发 /callback/,以及日志中被拒绝的推送。",
		Address:        "微信不认识本机地址 %s:请在后台加入 IP 白名单(可信 IP),然后执行:tokend refresh %s",
		AddressUnknown: "微信不认识本机地址:请在后台加入 IP 白名单(可信 IP),然后执行:tokend refresh %s",
		Wrong:          "微信拒绝了当前配置的账号:请与后台核对 ID、secret 和权限。修改配置后执行:systemctl reload tokend;在微信后台修改后执行:tokend refresh %s",
		Day:            "微信当天的配额已用完,北京时间零点恢复。请查找还有哪些程序在获取此账号的 token。",
		Minute:         "一分钟或一小时内调用过多,会自动再次请求。请查找还有哪些程序在用此账号调用。",
		Grant:          "需要客户重新授权。",
		Code:           "授权码已使用或已过期:请让客户重新开始授权。",
		Defect:         "微信认为请求格式有误:这是 tokend 的缺陷,请附上 errcode 报告。",
		Busy:           "微信繁忙,会自动再次请求。",
		Network:        "未能连上微信,或收到的不是微信的回答,会自动再次请求。若持续如此,请检查本机的网络、DNS 和防火墙。",
		Parent:         "获取它所需的上级凭据暂不可用:请看上级凭据。",
		Self:           "tokend 在微信配额之前的自我保护,会自动再次请求。",
		Fault:          "tokend 自身的故障:详见它的日志。",
	},
}
