package main

// helpInChinese has the Chinese help texts, by the English ones.
var helpInChinese = map[string]string{
	"Serve WeChat and WeCom credentials to every process on a host": "为本机的所有进程提供微信和企业微信的凭据",
	`tokend fetches, stores, refreshes and serves WeChat and WeCom credentials for every process on a
host. All processes get valid values over a Unix socket.

For a demonstration without installation or account:   tokend demo`: `tokend 获取、保存、刷新并提供微信和企业微信的凭据。本机的所有进程都从 Unix 套接字取得有效的值。

不用安装、不用账号的演示：tokend demo`,
	"Write a sealed backup of the daemon's store": "写出加密的备份",
	`Write a backup of the daemon's store as of now to FILE or to standard output. The daemon
continues to serve. The backup is sealed with the daemon's encryption_key and does not contain
the key: keep a copy of the key elsewhere. Without an encryption_key, backup fails, since the
backup would show every grant.

FILE is created with mode 0600 when the backup is complete. An existing FILE is replaced only
with --force. A backup on standard output is complete only if the exit status is 0. Grants that
WeChat replaces later are not in the backup, so make backups often. It requires root or tokend's
own user.`: `把守护进程此刻的数据备份到 FILE 或标准输出，不停止服务。备份用守护进程的 encryption_key 加密，
其中没有密钥：请把密钥另外保存。没有 encryption_key 时拒绝备份，否则备份会泄露所有授权凭证。

备份完成后才创建 FILE，权限 0600；已有的 FILE 只有加 --force 才会替换。写到标准输出的备份，
退出码为 0 才是完整的。之后微信更换的授权凭证不在备份里，所以要经常备份。需要 root 或 tokend 自己的用户。`,
	"replace an existing FILE": "替换已有的 FILE",
	"the daemon's `PATH` (default $TOKEND_SOCKET, then /run/tokend/tokend.sock)": "守护进程的套接字路径 `PATH`（默认 $TOKEND_SOCKET，其次 /run/tokend/tokend.sock）",
	"limit for waiting on a reply":                    "等待响应的时限",
	"Measure reads of the daemon, Redis or memcached": "测量守护进程、Redis 或 memcached 的读取性能",
	`Send GET requests as fast as the server answers them, or at a fixed --rate, and print the rate
of replies and their latencies. Names are chosen at random. A NAME may contain a range, {1-500} or
{001-500}, which stands for 500 names.

Each request is an ordinary GET: it counts as use of the credential and causes a fetch if there is
no valid value. The daemon's limits for a user apply, but not to root. No other request is sent,
and no value is printed.

Each of the --connections sends its next request, or its next --pipeline requests, after the
previous replies. With --rate, requests are due at fixed times and latencies count from those times,
so a stalled server shows in the latencies. With --connect, each request opens a connection, as PHP
does, and latencies include connecting.

With --target and --socket, the names are read as keys from Redis or memcached, which must contain
them. The command also prints its own CPU time. If it uses a whole core for each of the --threads,
it measured itself and not the server.`: `以服务器能达到的最快速度，或按 --rate 固定的速度发送 GET，打印响应速度和延迟。名称随机选取，
NAME 可以包含范围，{1-500} 或 {001-500} 表示 500 个名称。

每个请求都是普通的 GET：算作使用该凭据，没有有效的值时会引起获取。守护进程对用户的限制照常生效，
root 除外。不发送其他请求，不打印值。

每个连接收到响应后才发送下一个请求，或下 --pipeline 个请求。用 --rate 时请求按固定时刻发出，
延迟从该时刻算起，服务器停顿会体现在延迟里。用 --connect 时每个请求都新建连接，与 PHP 相同，
延迟包括建立连接。

用 --target 和 --socket 时，把名称当作键从 Redis 或 memcached 读取，其中必须有这些键。命令还会打印自己的处理器时间：
如果每个 --threads 都用满一个核，测到的就是它自己而不是服务器。`,
	"open a connection for each request":                               "每个请求新建连接",
	"number of connections":                                            "连接数",
	"print the version":                                                "打印版本",
	"print a JSON object":                                              "打印 JSON 对象",
	"print an array of objects with the keys of the protocol":          "打印对象数组，键与协议相同",
	"print an array of one object":                                     "打印只有一个对象的数组",
	"print an object in each line":                                     "每行打印一个对象",
	"read more names from `FILE`, one per line; - is standard input":   "从 `FILE` 读取更多名称，每行一个；- 表示标准输入",
	"requests that a connection sends together":                        "一个连接一次发送的请求数",
	"requests due per second (default: as fast as the server answers)": "每秒的请求数（默认：服务器能达到的最快速度）",
	"end after this number of requests instead of --seconds":           "达到这个请求数即结束，不看 --seconds",
	"duration of the run":                                              "测量时长",
	"the server's `PATH` (default, of a daemon: $TOKEND_SOCKET, then /run/tokend/tokend.sock)": "服务器的套接字路径 `PATH`（守护进程默认 $TOKEND_SOCKET，其次 /run/tokend/tokend.sock）",
	"the `SERVER` to measure: tokend, redis or memcached":                                      "测量的服务器 `SERVER`：tokend、redis 或 memcached",
	"number of threads":                               "线程数",
	"duration of requests before the measurement":     "测量之前先发送请求的时长",
	"Read the configuration and report every mistake": "检查配置，报告所有错误",
	`Read the configuration as serve does, including secrets in files, environment variables and
systemd credentials, and report every mistake with its line. It opens no store or socket and makes
no calls.

It also judges the owners and modes of the files, the socket's directory, the state directory and
all directories above them, for the user of tokend.service if that unit uses the file. Each finding
names the command that fixes it. Run it as root: other users cannot read every file.`: `像 serve 那样读取配置，包括文件、环境变量和 systemd 凭据中的 secret，报告所有错误及其行号。
不打开状态目录和套接字，不调用微信。

还检查文件、套接字所在目录、状态目录及其所有上级目录的属主和权限。如果 tokend.service 使用这个文件，
就按它的用户判断。每个问题都给出解决它的命令。请用 root 运行：其他用户读不到所有文件。`,
	"the configuration `FILE`":                               "配置文件 `FILE`",
	"Demonstrate tokend in 15 seconds, without installation": "15 秒演示，不用安装",
	`Demonstrate tokend with a local WeChat, a real daemon in a temporary directory, and many clients.
Each step prints what happened and how many calls to WeChat it cost, and compares the calls with
WeChat's own count. The exit status is 0 only if every check succeeds. All files are removed at the
end.

With --hosts, several hosts serve the same accounts and share their records in etcd. They run in
this process, with an etcd in memory: clients read and reject on all hosts at once, a host is killed
during a call to WeChat, another one takes over, and the killed one starts again. That takes about 20
seconds.`: `用本地的模拟微信、临时目录里的真实守护进程和许多客户端演示 tokend。每一步打印发生了什么、
调用了微信多少次，并与模拟微信的计数比较。所有检查都成功时退出码才是 0。结束时删除所有文件。

加 --hosts 时，几台主机提供相同的账号，记录通过 etcd 共享。这些主机都在本进程里运行，etcd 在内存里：
客户端在所有主机上同时读取、同时退回，一台主机在调用微信时被杀掉，由另一台接管，被杀掉的再重新启动。
大约 20 秒。`,
	"demonstrate `N` hosts that share their accounts, 2 to 5 (default: one host)": "演示 `N` 台主机共享账号，2 到 5 台（默认一台）",
	"the language, `en or zh` (default: that of the environment)":                 "语言，`en 或 zh`（默认由环境决定）",
	"Check everything between the configuration and WeChat":                       "检查从配置到微信的每个环节",
	`Check everything between the configuration and WeChat, and report what to do about each problem. On
this host: the configuration and its secret files, the state directory and its disk, the systemd
unit, the socket, this user's rights and the versions. In the daemon: what needs attention, the
address that WeChat refuses, whether pushes arrive, the last backup and descriptors. For each host
of WeChat: DNS, TCP, TLS and the clock.

Nothing is changed, and WeChat's API is not called. With --ask, the daemon makes one call for each
account whose secret has not been accepted yet, within WeChat's quotas. Run it as root: other users
cannot read everything.

The exit status is that of the first failed check: 1 a failure, 2 a mistake in the configuration,
3 no rights, 4 WeChat cannot be reached or does not push, 5 no daemon. Warnings do not change it.
With --json: an array with an object for each check.`: `检查从配置到微信的每个环节，并说明每个问题的处理办法：配置及其 secret 文件、状态目录及其磁盘、
systemd 单元、套接字和当前用户的权限、版本、需要处理的问题、被微信拒绝的 IP、推送是否到达、
上次备份、文件描述符，以及微信各个域名的 DNS、TCP、TLS 和时钟。

它不改动任何东西，也不调用微信的接口。加上 --ask，守护进程会为每个 secret 尚未被接受的账号调用一次，
不会超出微信的配额。请以 root 运行：其他用户读不到全部内容。

退出码是第一个失败项的退出码：1 失败，2 配置错误，3 没有权限，4 连不上微信或没有收到推送，
5 没有守护进程。警告不影响退出码。加上 --json 打印数组，每项检查一个对象。`,
	"make one call for each account whose secret has not been accepted yet": "为每个 secret 尚未被接受的账号调用一次",
	"Exchange an authorization code for a grant, and print the customer":    "用授权码换取授权凭证，打印是哪个客户",
	`Exchange the authorization code from a customer's browser for a grant, store the grant, and print
OWNER/CUSTOMER, the prefix of the names of the customer's credentials. OWNER is
open_platform/<component_appid> or open_work/<suite_id>.

A CODE of - is read from standard input. Prefer -, since every user of the host can see command
lines. WeChat accepts a code once. If the same code is submitted again, tokend repeats its result
from memory.`: `用客户浏览器带回的授权码换取授权凭证并保存，打印 OWNER/CUSTOMER，即该客户各个凭据名称的前缀。
OWNER 是 open_platform/<component_appid> 或 open_work/<suite_id>。

CODE 写成 - 时从标准输入读取。请优先用 -，因为本机的每个用户都能看到命令行。微信只接受一次授权码；
再次提交同一个授权码时，tokend 返回记住的结果。`,
	"Print a valid value": "打印一个有效的值",
	`Print the value of a credential, followed by a newline. The value is valid now. If tokend has no
valid value, it fetches one, once for all waiting clients. With --ttl, the seconds that the value is
still valid precede it.`: `打印凭据的值和换行。这个值此刻有效。如果 tokend 没有有效的值，就去获取，所有等待的客户端共用一次。
加上 --ttl，先打印这个值剩余的秒数。`,
	"print the remaining seconds and the value":                "打印剩余秒数和值",
	"Run a command with values in its environment or in files": "运行一个命令，通过环境变量或文件把值交给它",
	`Get the value of each NAME once, then run COMMAND. With --env, the environment variable VAR holds the
value. With --file, VAR holds the path of a file that contains the value and nothing else. The file
has mode 0600 and is in a directory of its own, in memory if the host has /dev/shm. It is removed
when COMMAND ends.

Use it for commands that run for minutes. The values are not replaced while COMMAND runs: a service
asks the socket for each call instead. Processes that outlive COMMAND find no file.

Signals are forwarded to COMMAND. A SIGTSTP within a second after a SIGCONT does not stop COMMAND,
because their order is unknown. The exit status is that of COMMAND, or 128+n if signal n killed it;
126 if COMMAND cannot be executed, and 127 if it does not exist. If a value cannot be obtained,
COMMAND is not started.`: `每个 NAME 的值获取一次，然后运行 COMMAND。用 --env 时，环境变量 VAR 是值；用 --file 时，
VAR 是一个文件的路径，文件里只有这个值。文件权限 0600，放在单独的目录里，有 /dev/shm 时就在内存里。
COMMAND 结束时删除。

适合几分钟内结束的命令。COMMAND 运行期间不会更换值：长期运行的服务应当在每次调用前向套接字请求。
COMMAND 留下的后台进程读不到文件。

信号会转发给 COMMAND。SIGCONT 之后一秒内的 SIGTSTP 不会让 COMMAND 停住，因为两者的先后无法得知。
退出码是 COMMAND 的退出码；被信号 n 终止时是 128+n；COMMAND 无法执行时是 126，不存在时是 127。
只要有一个值得不到，就不启动 COMMAND。`,
	"set the variable to the value, as `VAR=NAME`; may be repeated":                         "把变量设为值，写成 `VAR=NAME`；可以重复",
	"set the variable to the path of a file with the value, as `VAR=NAME`; may be repeated": "把变量设为存有值的文件的路径，写成 `VAR=NAME`；可以重复",
	"Show the last refreshes of a credential, newest first":                                 "显示凭据最近的刷新记录，最新的在前",
	`Show the last refreshes of a credential, at most 20, newest first: time, cause and outcome. They
survive a restart. RID is the request id that WeChat's support asks for.`: `显示凭据最近的刷新记录，最多 20 条，最新的在前：时间、原因和结果。重启后仍然保留。
RID 是向微信反馈问题时需要的请求标识。`,
	"Store the grants of all customers of a third-party platform": "存入第三方平台所有客户的授权凭证",
	`Store the refresh tokens of all customers of a third-party platform from WeChat's list, so that a
site can migrate without its old database. OWNER is open_platform/<component_appid>.

The list has pages of 500 customers. Each page is a call to WeChat. Progress is shown on standard
error. Grants that are already stored are not changed, so an import can be repeated. An interrupted
import continues at an --offset. If WeChat lists fewer customers than it counts, the exit status is
4 and the number of missing customers is printed. --timeout applies to each page. It requires root
or tokend's own user unless the configuration grants it.`: `按微信的授权方列表存入第三方平台所有客户的刷新令牌，这样不用旧数据库也能迁移。
OWNER 是 open_platform/<component_appid>。

列表每页 500 个客户，每页调用微信一次。进度写到标准错误。已保存的授权凭证不变，所以可以重复导入；
中断后用 --offset 继续。如果微信列出的客户比它的计数少，退出码是 4，并打印缺少的数量。
--timeout 是每一页的时限。除非配置授权，需要 root 或 tokend 自己的用户。`,
	"skip the first `N` customers of the list":               "跳过列表的前 `N` 个客户",
	"List the credentials with state and remaining lifetime": "列出凭据的状态和剩余时间",
	`List the credentials whose names begin with PREFIX, or all of them. Nothing is fetched.

  fresh     valid
  stale     valid, but the last refresh failed
  expired   no valid value
  waiting   no valid value until WeChat pushes a ticket
  held      no valid value, and no fetch until an operator acts or a time has passed
  idle      never requested`: `列出名称以 PREFIX 开头的凭据，或全部凭据。不会引起获取。

  fresh     有效
  stale     有效，但上次刷新失败
  expired   没有有效的值
  waiting   没有有效的值，等待微信推送 ticket
  held      没有有效的值，人工处理或到时之前不再获取
  idle      从未请求过`,
	"Store a pushed ticket or a grant from standard input": "从标准输入存入推送的 ticket 或授权凭证",
	`Store a value that tokend cannot fetch: a ticket that WeChat pushed to another program, or a
customer's grant (refresh_token or permanent_code). The value is all of standard input, without a
newline at its end. It is never read from the command line, which every user of the host can see.

If the exit status is 0, the value is durable. A grant cannot be read back, and the previous grant is
kept. It requires root or tokend's own user unless the configuration grants it.`: `存入 tokend 无法获取的值：微信推送给其他程序的 ticket，或客户的授权凭证（refresh_token 或
permanent_code）。标准输入的全部内容就是值，不含末尾的换行。不从命令行读取，因为本机的每个用户都能看到。

退出码为 0 表示已经落盘。授权凭证不能读回，之前的授权凭证仍然保留。除非配置授权，
需要 root 或 tokend 自己的用户。`,
	"Fetch a new value at once, also during a hold, and print it": "立即获取新的值并打印，暂停期间也一样",
	`Fetch a new value from WeChat at once, also during a hold, and print it. This spends quota: for a
stable access token 20 a day, 30 seconds apart. It requires root or tokend's own user unless the
configuration grants it.

The request is not repeated when the connection breaks, since the daemon may have executed it.`: `立即从微信获取新的值并打印，暂停期间也一样。这会消耗配额：稳定版 access_token 每天 20 次，
间隔 30 秒。除非配置授权，需要 root 或 tokend 自己的用户。

连接断开时不重试，因为守护进程可能已经执行。`,
	"Report a value that WeChat refused, and print the one to use instead": "退回被微信拒绝的值，打印替换它的值",
	`Report a value that WeChat refused as invalid or expired, and print the one to use instead. tokend
fetches a new value only if the refused one is still current, and once for all clients that report
it.

A VALUE of - is read from standard input. Prefer -, since every user of the host can see command
lines, and a value may begin with a dash.`: `退回被微信以无效或过期为由拒绝的值，打印替换它的值。只有被拒绝的值仍是当前值时 tokend 才获取新的值，
退回它的所有客户端共用一次。

VALUE 写成 - 时从标准输入读取。请优先用 -，因为本机的每个用户都能看到命令行，而且值可能以 - 开头。`,
	"Change the key of the state directory; the daemon must not run": "更换状态目录的密钥；守护进程不能在运行",
	`Seal the state directory with a new key, which one of the --new-key flags names: 32 bytes, or 64
hexadecimal digits. The configuration names the state directory and, as encryption_key, its current
key. Without an encryption_key, a state directory in clear is sealed.

With an encryption_key, tokend refuses a store in clear, because anybody could have put the store
there. After you configure a key for the first time, run tokend rekey --seal. Without a new key,
--seal uses the encryption_key.

Stop the daemon first, and run rekey as the daemon's user. Afterwards set encryption_key to the new
key. If rekey is interrupted, run it again. Older backups keep the old key.`: `用新密钥加密状态目录，由一个 --new-key 选项指定：32 字节，或 64 个十六进制数字。配置指定状态目录，
以及当前的密钥 encryption_key。没有 encryption_key 时，把明文的状态目录加密。

配置了 encryption_key 时，tokend 拒绝明文的数据库，因为任何人都可能放在那里。第一次配置密钥之后，
执行 tokend rekey --seal；不给新密钥时，--seal 使用 encryption_key。

先停止守护进程，并以守护进程的用户运行。之后把 encryption_key 改成新密钥。中断后再运行一次即可。
旧备份仍然用旧密钥。`,
	"read the new key from systemd's credential `NAME`":              "从 systemd 凭据 `NAME` 读取新密钥",
	"read the new key from the environment variable `NAME`":          "从环境变量 `NAME` 读取新密钥",
	"read the new key from `FILE`":                                   "从 `FILE` 读取新密钥",
	"seal a store in clear although an encryption_key is configured": "配置了 encryption_key 时仍把明文的数据库加密",
	"Apply the configuration file":                                   "应用配置文件",
	`Make the daemon read its configuration file again, and wait until the new configuration is in effect.
Unchanged accounts are neither fetched again nor interrupted. If the file has a mistake, the daemon
keeps the old configuration and logs every mistake, and the exit status is 2. It requires root or
tokend's own user. The daemon logs the user.

SIGHUP to the daemon does the same, but neither waits nor reports the result.`: `让守护进程重新读取配置文件，等到新配置生效才返回。没有改动的账号既不重新获取，也不中断。
配置有错误时，守护进程保留旧配置并记录所有错误，退出码是 2。需要 root 或 tokend 自己的用户，
守护进程会记录是哪个用户。

向守护进程发送 SIGHUP 效果相同，但不等待，也不报告结果。`,
	"Fill an empty state directory from a backup; the daemon must not run": "把备份恢复到空的状态目录；守护进程不能在运行",
	`Fill the configured state directory from the backup in FILE or on standard input. The directory must
be missing or empty, and no daemon may use it. encryption_key must be the key of the backup. Either
the whole backup is restored or nothing. With an encryption_key, tokend refuses a backup in clear,
because anybody could have made the backup. --accept-clear restores and seals such a backup.

Run it as the daemon's user. Grants that WeChat replaced after the backup are not in it: those
customers must authorize again, or use tokend import.`: `把 FILE 或标准输入的备份恢复到配置的状态目录。目录必须不存在或为空，没有守护进程使用它。
encryption_key 必须是备份的密钥。要么恢复整个备份，要么什么都不恢复。配置了 encryption_key 时，
tokend 拒绝明文的备份，因为任何人都可能造出来；--accept-clear 恢复并加密这样的备份。

以守护进程的用户运行。备份之后微信更换的授权凭证不在其中：请这些客户重新授权，或执行 tokend import。`,
	"seal and restore a backup in clear although an encryption_key is configured": "配置了 encryption_key 时仍恢复明文的备份，并加密",
	"Run a local WeChat for development":                                          "运行本地的模拟微信，供开发使用",
	`Run a local WeChat with accounts of every kind until interrupted. The sandbox prints a configuration
for tokend, each call as it arrives, and a summary at the end. Token rotation and expiry, quotas and
errcodes follow WeChat's rules.

As soon as tokend listens, the sandbox pushes signed and encrypted tickets and events to the
platform and the suites: tickets at WeChat's interval, one customer's authorization at the start,
and other events by command. Further commands make WeChat refuse a token, act as a business API and
count the calls. The sandbox lists the commands.

A --fault makes calls fail as WeChat's calls fail. It is a comma-separated list of

  which calls:      endpoint=PATH  account=ID  times=N (only the first N)
  before them:      delay=2s
  instead of them:  errcode=N  status=N (of HTTP)  cut (close the connection)
  after them:       lost (no answer)  hang  expires_in=JSON (or omit)  no_value
                    no_grant (an empty grant)  no_tokens (of api_query_auth)
                    body=truncated, html, empty or huge

If several --fault match a call, the first applies.`: `运行本地的模拟微信，有各类账号，直到被中断。打印 tokend 的配置、收到的每次调用，以及最后的汇总。
令牌的轮换和过期、配额、errcode 都遵循微信的规则。

tokend 开始监听后，模拟微信就向第三方平台和套件推送签名加密的 ticket 和事件：ticket 按微信的间隔，
启动时有一个客户授权，其他事件由命令触发。还有命令可以让模拟微信拒绝某个令牌、充当业务接口、统计调用。
命令由模拟微信列出。

--fault 让调用像真实微信那样失败，用逗号分隔：

  哪些调用    endpoint=PATH；account=ID；times=N（只有前 N 次）
  调用之前    delay=2s
  代替调用    errcode=N；status=N（HTTP）；cut（断开连接）
  调用之后    lost（没有响应）；hang；expires_in=JSON（或 omit）；no_value；
              no_grant（授权凭证为空）；no_tokens（api_query_auth）；
              body=truncated、html、empty 或 huge

多个 --fault 都符合时，以第一个为准。`,
	"listen on an address that other hosts can reach":                                    "监听其他主机能访问的地址",
	"also accept unknown accounts, with the secret of their first call":                  "也接受未知账号，以第一次调用的 secret 为准",
	"`HOST:PORT` of tokend's [http], for pushes":                                         "tokend 的 [http] 的 `HOST:PORT`，用于推送",
	"write the configuration to `FILE`; the socket and the state use the same directory": "把配置写到 `FILE`；套接字和状态目录在同一目录",
	"answer 40014, not 42001, for an expired WeCom token":                                "企业微信的令牌过期时返回 40014 而不是 42001",
	"lifetime of tokens and tickets":                                                     "令牌和 ticket 的有效期",
	"a `FAULT` as above; may be repeated":                                                "上述 `FAULT`，可以重复",
	"delay of each answer":                                                               "每次响应的延迟",
	"`HOST:PORT` to listen on":                                                           "监听的 `HOST:PORT`",
	"with the same `NUMBER`, values and orders are the same in each run; 0 means random": "相同的 `NUMBER` 每次运行产生相同的值和顺序；0 表示随机",
	"push the elements of events in random order":                                        "以随机顺序推送事件的各个元素",
	"Run the daemon in the foreground":                                                   "在前台运行守护进程",
	`Run the daemon in the foreground until SIGTERM or SIGINT. A second signal ends it at once. SIGHUP
makes it read its configuration again, as tokend reload does: if the file has a mistake, the old
configuration stays in effect. The log goes to standard error.

Under systemd, the daemon uses the socket of a .socket unit if there is one, and reports readiness,
reloads and stops (Type=notify, WatchdogSec=).`: `在前台运行守护进程，直到 SIGTERM 或 SIGINT。第二个信号立即结束它。SIGHUP 让它重新读取配置，
与 tokend reload 相同：配置有错误时旧配置继续有效。日志写到标准错误。

在 systemd 下，如果有 .socket 单元就使用它的套接字，并报告就绪、重新加载和停止（Type=notify、
WatchdogSec=）。`,
	"Print the JS-SDK signature of a page": "打印页面的 JS-SDK 签名",
	`Print the JS-SDK signature of the page URL: timestamp, nonce and signature in one line. NAME is a
jsapi_ticket or an agent_config_ticket, which is not shown. WeChat ignores what follows a # in URL,
so tokend does not sign it.`: `打印页面 URL 的 JS-SDK 签名：一行中依次是 timestamp、nonce 和 signature。NAME 是 jsapi_ticket 或
agent_config_ticket，不会显示其值。微信忽略 URL 中 # 之后的内容，tokend 也不签。`,
	"Show the state of the daemon or of one credential": "显示守护进程或某个凭据的状态",
	`Without a NAME: the daemon's version, the number of credentials in each state, what needs attention,
why, and what to do. The counters of reads and calls since the daemon started follow. The exit
status is 1 if anything needs attention. Up to 50 credentials are shown one by one, more are counted.
NO_COLOR turns colors off.

With a NAME: everything about that credential except its value. For a credential that waits for a
push: since when, the refused pushes, and the address to enter in WeChat's console.

With --json: an array of one object. Its keys are those of STATUS or, without a NAME, version and
those of STATS, and attention, revoked, states and endpoints.`: `不带 NAME：守护进程的版本、各状态的凭据数量、哪里需要处理、为什么、怎么处理，以及读取和调用次数。
有需要处理的问题时退出码是 1。50 个以内的凭据逐个显示，更多时只显示数量。
NO_COLOR 关闭颜色。

带 NAME：该凭据除值以外的全部信息。如果它在等待推送：从何时起没有收到、被拒绝的推送，
以及后台应填写的地址。

加上 --json：只有一个对象的数组，键与 STATUS 相同；不带 NAME 时是 version、STATS 的键，
以及 attention、revoked、states 和 endpoints。`,
	"show the overview again every 2 s until interrupted":             "每 2 s 重新显示，直到被中断",
	"Print the version of this program":                               "打印本程序的版本",
	"List the credentials, then print every change until interrupted": "列出凭据，然后打印每次变化，直到被中断",
	`List the credentials whose names begin with PREFIX, or all of them, then print a line for each
change of a value or a state, until interrupted. --timeout limits only the start. With --json, each
line is an object with the keys time, name, state and ttl.`: `列出名称以 PREFIX 开头的凭据，或全部凭据，然后值或状态每变化一次打印一行，直到被中断。
--timeout 只限制开始时的等待。加上 --json，每行是一个对象，键为 time、name、state 和 ttl。`,
	"Daemon:":                "守护进程：",
	"Client:":                "客户端：",
	"Tickets and grants:":    "ticket 和授权凭证：",
	"Backup and key:":        "备份和密钥：",
	"Development:":           "开发：",
	"Help about any command": "任何命令的帮助",
}
