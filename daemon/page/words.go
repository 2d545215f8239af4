package page

import "tokend/daemon/advice"

// words is the page's texts in one language.
type words struct {
	Language advice.Language

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
	Nothing, Reading       string
	Stop, Comma            string // between sentences, between names
	WeCom                  string
	Limits                 string
	Unseen                 string // for users who may not see the page

	Families map[string]string // by the first segment of a name
	States   map[string]string
	Quotas   map[string]string // by the word of a budget
	Units    [4]string         // day, hour, minute, second
}

var english = words{
	Language: advice.English, Code: "en", Other: "zh", Offer: "中文",
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
	Disk: "disk", DiskWell: "accepts writes",
	Nothing: "No account is configured.", Reading: "The store is still being read: not all is shown yet.", WeCom: "all of WeCom", Limits: "within",
	Unseen: "Open this page on the host itself, by its IP address, or from an address in monitors.\nThe log has the reason for this refusal and the remedy.",
	Families: map[string]string{
		"official_account": "Official account", "mini_program": "Mini program", "open_platform": "Third-party platform",
		"work": "WeCom app", "open_work": "WeCom service provider",
	},
	States: map[string]string{"idle": "idle", "fresh": "fresh", "stale": "stale", "expired": "expired", "waiting": "waiting", "held": "held"},
	Quotas: map[string]string{"force": "forced refreshes", "token": "token calls", "ticket": "ticket calls", "erroneous calls": "erroneous calls"},
	Units:  [4]string{" d", " h", " min", " s"},
}

var chinese = words{
	Language: advice.Chinese, Code: "zh", Other: "en", Offer: "English",
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
	Disk: "磁盘", DiskWell: "写入正常",
	Nothing: "没有配置任何账号。", Reading: "数据库仍在读取，尚未全部显示。", WeCom: "企业微信合计", Limits: "周期",
	Unseen: "请在本机上用 IP 地址访问，或从 monitors 中的地址访问。\n拒绝的原因和处理办法见日志。",
	Families: map[string]string{
		"official_account": "公众号", "mini_program": "小程序", "open_platform": "第三方平台",
		"work": "企业微信应用", "open_work": "企业微信服务商",
	},
	States: map[string]string{"idle": "未请求", "fresh": "有效", "stale": "有效，刷新失败", "expired": "已过期", "waiting": "等待推送", "held": "已暂停"},
	Quotas: map[string]string{"force": "强制刷新", "token": "令牌调用", "ticket": "ticket 调用", "erroneous calls": "被拒绝的调用"},
	Units:  [4]string{" 天", " 小时", " 分钟", " 秒"},
}
