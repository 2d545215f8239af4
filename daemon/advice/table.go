package advice

// both is a text in both languages, by Language.
type both [Languages]string

// entry is the texts of one topic.
type entry struct {
	title  both
	does   both // in a few words what tokend does
	short  both // in a few words what to do
	advice both // what is wrong and what to do; ends with a colon if command continues it

	command string
}

// What WeChat's and WeCom's consoles call the allowlist.
const (
	allowlist = "IP 白名单"
	trusted   = "企业可信 IP"
)

// table has the texts. In advice and command, {name} is the credential, {address} is a space and
// this host's address, and {callback} is the place and the URL in WeChat's console in parentheses.
// The last two may be empty.
var table = map[Topic]entry{
	Account: {
		title: both{"account", "账号"},
		does:  both{"holds for 5 minutes, doubling to 1 hour", "暂停 5 分钟，逐次加倍，最长 1 小时"},
		short: both{"fix the account", "改正账号配置"},
		advice: both{
			"WeChat refuses the account as configured. Compare the ids, the secret and the permissions with WeChat's console. After a change of the configuration, run: sudo systemctl reload tokend. After a change in the console, run:",
			"微信拒绝了当前配置的账号。请与后台核对各个 ID、secret 和权限。如果改了配置，执行：sudo systemctl reload tokend。如果改了后台，执行：",
		},
		command: "sudo tokend refresh {name}",
	},
	Address: {
		title: both{"address", "地址"},
		does:  both{"holds for 5 minutes", "暂停 5 分钟"},
		short: both{"add this host's IP address to the allowlist", "把本机 IP 加入白名单"},
		advice: both{
			"WeChat does not accept this host's address{address}. Add the address to the allowlist in WeChat's console (" + allowlist + ") or WeCom's console (" + trusted + "), then run:",
			"微信不接受本机的 IP{address}。请在微信后台把它加入 IP 白名单，企业微信则加入企业可信 IP，然后执行：",
		},
		command: "sudo tokend refresh {name}",
	},
	Customer: {
		title:  both{"customer", "客户"},
		does:   both{"stops fetching for this customer", "不再为这个客户获取"},
		short:  both{"ask the customer to authorize again", "请客户重新授权"},
		advice: both{"The customer's grant is missing, revoked or refused. Ask the customer to authorize again.", "客户的授权凭证不存在、已取消授权或被微信拒绝。请客户重新授权。"},
	},
	Ticket: {
		title: both{"ticket", "ticket"},
		does:  both{"waits for the next pushed ticket", "等待下一次推送的 ticket"},
		short: both{"check the callbacks", "检查回调"},
		advice: both{
			"WeChat pushes this ticket every 10 minutes. Check the callback address in WeChat's console{callback}, that the web server forwards /callback/, and the refused pushes. They are counted by:",
			"微信每 10 分钟推送一次这个 ticket。请检查后台填写的回调地址{callback}、Web 服务器是否转发 /callback/，以及被拒绝的推送。查看次数：",
		},
		command: "tokend status {name}",
	},
	Parent: {
		title: both{"parent", "上级凭据"},
		does:  both{"refreshes the parent once and repeats the call once", "刷新一次上级凭据，再重试一次"},
		short: both{"usually nothing", "通常不用处理"},
		advice: both{
			"The credential that is needed to fetch this one is unavailable. For the cause, run:",
			"获取它所需的上级凭据不可用。查看原因：",
		},
		command: "tokend status {name}",
	},
	Code: {
		title:  both{"code", "授权码"},
		does:   both{"drops the code", "丢弃授权码"},
		short:  both{"let the customer start again", "请客户重新发起授权"},
		advice: both{"An authorization code is invalid, used or expired. Let the customer start the authorization again.", "授权码无效、已使用或已过期。请客户重新发起授权。"},
	},
	Rate: {
		title: both{"rate", "频率"},
		does:  both{"holds for 1 minute, doubling to 1 hour", "暂停 1 分钟，逐次加倍，最长 1 小时"},
		short: both{"look for other callers", "查找还有谁在调用"},
		advice: both{
			"Too many calls within a minute or an hour. tokend retries by itself. Look for other programs that fetch with this account.",
			"一分钟或一小时内调用过多，tokend 会自动重试。请查找还有哪些程序在用这个账号获取凭据。",
		},
	},
	Quota: {
		title: both{"quota", "配额"},
		does:  both{"as rate, or holds until midnight in Beijing", "与频率相同，或暂停到北京时间零点"},
		short: both{"look for other callers", "查找还有谁在调用"},
		advice: both{
			"WeChat's quota of this endpoint is used up. tokend retries by itself, at the latest after midnight in Beijing. Look for other programs that fetch with this account.",
			"微信对这个接口的配额已用完。tokend 会自动重试，最迟在北京时间零点之后。请查找还有哪些程序在用这个账号获取凭据。",
		},
	},
	Busy: {
		title:  both{"busy", "繁忙"},
		does:   both{"retries", "重试"},
		short:  both{"nothing", "不用处理"},
		advice: both{"WeChat is overloaded or received too many concurrent calls. tokend retries by itself.", "微信过载，或并发调用过多。tokend 会自动重试。"},
	},
	Request: {
		title: both{"request", "请求"},
		does:  both{"as account", "与账号相同"},
		short: both{"report a bug", "报告缺陷"},
		advice: both{
			"WeChat finds the request malformed. That is a bug of tokend, or a wrong URL under [upstream]. Report it with the errcode.",
			"微信认为请求格式有误。这是 tokend 的缺陷，或者 [upstream] 的 URL 写错了。请附上 errcode 报告。",
		},
	},
	Network: {
		title: both{"network", "网络"},
		does:  both{"makes up to 3 quick attempts, then one every 30 to 45 s", "快速尝试最多 3 次，之后每 30 到 45 s 尝试一次"},
		short: both{"check network, DNS and firewall if it lasts", "如果持续出现，检查网络、DNS 和防火墙"},
		advice: both{
			"WeChat was unreachable or returned an invalid response. tokend retries by itself. If it lasts, check this host's network, DNS and firewall:",
			"连不上微信，或微信返回的内容无效，tokend 会自动重试。如果持续出现，检查本机的网络、DNS 和防火墙：",
		},
		command: "sudo tokend doctor",
	},
	Limit: {
		title: both{"own limits", "自身限额"},
		does:  both{"makes no call until the limit allows it", "限额允许之前不调用"},
		short: both{"look for the program that causes the calls", "查找是哪个程序引起的调用"},
		advice: both{
			"tokend stopped before a WeChat quota was exhausted. It retries by itself. Look for the program that rejects or refreshes this credential.",
			"tokend 在达到微信的配额之前停了下来，会自动重试。请查找是哪个程序在退回或刷新这个凭据。",
		},
	},
	Disk: {
		title: both{"disk", "磁盘"},
		does:  both{"serves fetched values from memory", "由内存提供获取的值"},
		short: both{"free or repair the disk", "腾出空间或修复磁盘"},
		advice: both{
			"The disk refuses writes: fetched values are served from memory. Free or repair the disk. For the cause, run:",
			"磁盘拒绝写入：获取的值由内存提供。请腾出空间或修复磁盘。查看原因：",
		},
		command: "journalctl -u tokend -n 100",
	},
	Fault: {
		title:   both{"fault", "故障"},
		does:    both{"retries", "重试"},
		short:   both{"read the log", "查看日志"},
		advice:  both{"Internal error of tokend, or a disk that refuses a grant. Read the log:", "tokend 的故障，或磁盘拒绝写入授权凭证。查看日志："},
		command: "journalctl -u tokend -n 100",
	},
}
