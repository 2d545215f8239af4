package page

import "tokend/daemon/advice"

// words is the pages' texts in one language.
type words struct {
	Language advice.Language

	Code  string // as in an Accept-Language
	Other string // the code of the other language
	Offer string // the other language's own name

	Version, Up, As        string
	Live, Reloading        string // how the page is updated
	Well, Trouble          string // the summary; Trouble with a number
	Attention, Totals      string
	Do, Copy, Copied       string
	Also, Same, More       string // Same with a number, More with a number
	Accounts, Filter       string
	FilterText, FilterHint string
	AnyState, Apply, Clear string
	Matches, Shown         string // with numbers
	Next, First            string // links to other parts of a list
	Expand, Collapse       string // with a family
	NoMatch                string

	Credential, State, Life string
	Age, NextRefresh, Users string
	LastError, Kind         string
	Left                    string // with a span: of a value's life
	Ago, In                 string // with a span
	Overdue                 string
	Again                   string // with a span: the time until the next attempt
	NotAgain                string
	Undurable, None         string

	Back, Fetched, Expires string
	Failed, Failures       string
	Fingerprint, Durable   string
	Yes, No, Host          string
	Parents, Children      string
	Alarm                  string // when tokend warns that no push arrives
	RefusedPushes          string
	Timeline, TimelineText string // TimelineText with numbers of refreshes, failures, rejections and pushes
	History, Time, Cause   string
	Outcome, Took, NoPast  string
	NotFound, NotFoundText string

	Tickets, NoTicket      string
	QuotaWarnings          string
	Events, NoEvents       string
	Customers, Holds       string
	Budgets, Figures       string
	WeChat, Requests       string
	Reads, Hits, Waits     string
	Connections, TurnedOff string
	Errors                 string
	Endpoint, Calls        string
	Refused, Unreachable   string
	Average, Hosts         string
	Pushes, PushesRefused  string
	Refreshes              string
	Disk, DiskWell         string
	DiskFull               string
	Nothing, Reading       string
	Comma                  string // between names
	WeCom                  string
	Within                 string // with a span
	Skip                   string
	Unseen                 string // for users who may not see the page

	Families map[string]string // by the first segment of a name
	States   map[string]string
	Quotas   map[string]string // by the word of a budget
	Causes   map[string]string // by the word of a cause
	Outcomes map[string]string // by the word of an outcome; others are failures
	Units    [4]string         // day, hour, minute, second
}

var english = words{
	Language: advice.English, Code: "en", Other: "zh", Offer: "中文",
	Version: "version", Up: "up", As: "as of", Live: "live", Reloading: "reloads every 30 s",
	Well: "All is well", Trouble: "%s need attention",
	Attention: "Needs attention", Totals: "Credentials by state",
	Do: "What to do", Copy: "Copy", Copied: "Copied",
	Also: "Unavailable because of it", Same: "%s credentials", More: "and %s more",
	Accounts: "Accounts", Filter: "Filter", FilterText: "Name contains", FilterHint: "app id, corp id or kind",
	AnyState: "any state", Apply: "Filter", Clear: "Show all",
	Matches: "%s of %s credentials", Shown: "%s shown", Next: "Next %s", First: "From the beginning",
	Expand: "Show %s", Collapse: "Hide %s", NoMatch: "No credential matches the filter.",
	Credential: "credential", State: "state", Life: "remaining life", Age: "age", NextRefresh: "next refresh", Users: "used by",
	LastError: "last error", Kind: "kind", Left: "%s left", Ago: "%s ago", In: "in %s", Overdue: "due",
	Again: "retried in %s", NotAgain: "not retried until an operator or the customer acts",
	Undurable: "Served from memory, not on disk", None: "–",
	Back: "All credentials", Fetched: "fetched", Expires: "expires", Failed: "failed", Failures: "failed refreshes in a row",
	Fingerprint: "fingerprint", Durable: "on disk", Yes: "yes", No: "no", Host: "host",
	Parents: "Fetched with", Children: "Needed to fetch", Alarm: "warning if no push arrives",
	RefusedPushes: "refused pushes",
	Timeline:      "Last 24 hours", TimelineText: "refreshes %s, failures %s, rejections %s, pushes %s",
	History: "History", Time: "time", Cause: "cause", Outcome: "outcome", Took: "took", NoPast: "No refresh is recorded yet.",
	NotFound: "No such credential", NotFoundText: "The configuration has no credential of this name. Customers' credentials have no page.",
	Tickets: "Pushed tickets", NoTicket: "none yet", QuotaWarnings: "Quotas that are nearly used up",
	Events: "Last events", NoEvents: "No event is recorded yet.",
	Customers: "Customers' credentials in memory", Holds: "Customers' credentials on hold",
	Budgets: "Use of limits", Figures: "Figures since the start", WeChat: "Calls to WeChat", Requests: "Requests",
	Reads: "reads", Hits: "answered from memory", Waits: "had to wait", Connections: "open connections", TurnedOff: "refused connections",
	Errors: "error replies", Endpoint: "endpoint", Calls: "calls", Refused: "refused", Unreachable: "unreachable", Average: "average",
	Hosts: "hosts in use", Pushes: "pushes accepted", PushesRefused: "pushes refused or not stored", Refreshes: "refreshes, failed refreshes",
	Disk: "disk", DiskWell: "accepts writes", DiskFull: "refuses writes",
	Nothing: "No account is configured.", Reading: "The store is still being read: not all is shown yet.", Comma: ", ",
	WeCom: "all of WeCom", Within: "within %s", Skip: "To the credentials",
	Unseen: "Open this page on the host itself, by its IP address, or from an address in monitors.\nThe log has the reason for this refusal and the remedy.",

	Families: map[string]string{
		"official_account": "Official accounts", "mini_program": "Mini programs", "open_platform": "Third-party platforms",
		"work": "WeCom apps", "open_work": "WeCom service providers",
	},
	States: map[string]string{
		"idle": "idle", "fresh": "fresh", "stale": "stale", "expired": "expired", "waiting": "waiting", "held": "held",
		badState: "needs attention",
	},
	Quotas: map[string]string{"force": "forced refreshes", "token": "token calls", "ticket": "ticket calls", "erroneous calls": "erroneous calls"},
	Causes: map[string]string{
		"-": "unknown", "schedule": "on schedule", "read": "for a reader", "reject": "after a rejection", "refresh": "by an operator",
		"parent": "for another credential", "push": "pushed by WeChat", "start": "at the start",
	},
	Outcomes: map[string]string{"ok": "new value", "same": "the same value", "failed": "failed"},
	Units:    [4]string{" d", " h", " min", " s"},
}

var chinese = words{
	Language: advice.Chinese, Code: "zh", Other: "en", Offer: "English",
	Version: "版本", Up: "已运行", As: "截至", Live: "实时更新", Reloading: "每 30 秒刷新页面",
	Well: "一切正常", Trouble: "%s 个需要处理",
	Attention: "需要处理", Totals: "各状态的凭据数",
	Do: "处理办法", Copy: "复制", Copied: "已复制",
	Also: "因此不可用", Same: "%s 个凭据", More: "还有 %s 个",
	Accounts: "账号", Filter: "筛选", FilterText: "名称包含", FilterHint: "AppID、企业 ID 或种类",
	AnyState: "所有状态", Apply: "筛选", Clear: "显示全部",
	Matches: "%s / %s 个凭据", Shown: "显示 %s 个", Next: "后 %s 个", First: "从头显示",
	Expand: "展开%s", Collapse: "收起%s", NoMatch: "没有符合条件的凭据。",
	Credential: "凭据", State: "状态", Life: "剩余有效期", Age: "已获取", NextRefresh: "下次刷新", Users: "使用者",
	LastError: "最近的错误", Kind: "种类", Left: "剩余 %s", Ago: "%s前", In: "%s后", Overdue: "即将进行",
	Again: "%s后重试", NotAgain: "运维人员或客户处理之前不再重试",
	Undurable: "仅由内存提供，未落盘", None: "–",
	Back: "全部凭据", Fetched: "获取时间", Expires: "过期时间", Failed: "失败时间", Failures: "连续刷新失败次数",
	Fingerprint: "指纹", Durable: "已落盘", Yes: "是", No: "否", Host: "域名",
	Parents: "获取时需要", Children: "以下凭据依赖它", Alarm: "没有推送时告警",
	RefusedPushes: "被拒绝的推送",
	Timeline:      "最近 24 小时", TimelineText: "刷新 %s 次，失败 %s 次，退回 %s 次，推送 %s 次",
	History: "历史", Time: "时间", Cause: "原因", Outcome: "结果", Took: "耗时", NoPast: "还没有刷新记录。",
	NotFound: "没有这个凭据", NotFoundText: "配置中没有这个名称的凭据。客户的凭据没有单独的页面。",
	Tickets: "推送的 ticket", NoTicket: "尚未收到", QuotaWarnings: "即将用完的配额",
	Events: "最近的事件", NoEvents: "还没有事件。",
	Customers: "内存中的客户凭据", Holds: "已暂停的客户凭据",
	Budgets: "限额用量", Figures: "启动以来的统计", WeChat: "调用微信", Requests: "请求",
	Reads: "读取", Hits: "由内存直接响应", Waits: "需要等待", Connections: "当前连接", TurnedOff: "被拒绝的连接",
	Errors: "错误响应", Endpoint: "接口", Calls: "次数", Refused: "被拒绝", Unreachable: "连不上", Average: "平均耗时",
	Hosts: "正在使用的域名", Pushes: "已接受的推送", PushesRefused: "被拒绝或未能保存的推送", Refreshes: "刷新，其中失败",
	Disk: "磁盘", DiskWell: "写入正常", DiskFull: "拒绝写入",
	Nothing: "没有配置任何账号。", Reading: "数据库仍在读取，尚未全部显示。", Comma: "、",
	WeCom: "企业微信合计", Within: "周期 %s", Skip: "跳到凭据列表",
	Unseen: "请在本机上用 IP 地址访问，或从 monitors 中的地址访问。\n拒绝的原因和处理办法见日志。",

	Families: map[string]string{
		"official_account": "公众号", "mini_program": "小程序", "open_platform": "第三方平台",
		"work": "企业微信应用", "open_work": "企业微信服务商",
	},
	States: map[string]string{
		"idle": "未请求", "fresh": "有效", "stale": "刷新失败", "expired": "已过期", "waiting": "等待推送", "held": "已暂停",
		badState: "需要处理",
	},
	Quotas: map[string]string{"force": "强制刷新", "token": "令牌调用", "ticket": "ticket 调用", "erroneous calls": "被拒绝的调用"},
	Causes: map[string]string{
		"-": "未知", "schedule": "按计划", "read": "读取时", "reject": "退回后", "refresh": "运维人员手动",
		"parent": "为其他凭据", "push": "微信推送", "start": "启动时",
	},
	Outcomes: map[string]string{"ok": "新的值", "same": "值未变", "failed": "失败"},
	Units:    [4]string{" 天", " 小时", " 分钟", " 秒"},
}
