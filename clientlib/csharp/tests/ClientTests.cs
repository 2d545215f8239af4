using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;

namespace Tokend.Tests
{
    static class ClientTests
    {
        const string Name = "official_account/wx0123/access_token";
        const string Owner = "open_platform/wxcomponent";

        // Both runs a test with synchronous and with asynchronous GETs.
        static void Both(Action<Func<TokendClient, string>> test)
        {
            test(c => c.Get(Name).Value);
            test(c => c.GetAsync(Name).GetAwaiter().GetResult().Value);
        }

        public static void NoDaemon()
        {
            Both(get =>
            {
                using (var c = new TokendClient("/tmp/none/tokend.sock"))
                {
                    var e = Check.Throws<TokendNoDaemonException>("absent", () => get(c));
                    Check.Same(e.Code, "NO_DAEMON", "code");
                    Check.That(e.Message.Contains("/tmp/none/tokend.sock") && e.Message.Contains("systemctl start tokend"), e.Message);
                }
            });
            var denied = new TokendNoDaemonException("/run/tokend/tokend.sock", new SocketException((int)SocketError.AccessDenied));
            Check.That(denied.Message.Contains("/run/tokend/tokend.sock") && denied.Message.Contains("usermod -aG tokend"), denied.Message);
            var fake = Fake.Tokens();
            using (var c = new TokendClient(fake.Path))
            {
                c.Get(Name);
                fake.Dispose();
                c.Get(Name); // the connection is still open
            }
            using (var c = new TokendClient(fake.Path)) Check.Throws<TokendNoDaemonException>("gone", () => c.Get(Name));
        }

        public static void SocketFromEnvironment()
        {
            using (var fake = Fake.Tokens())
            {
                var before = Environment.GetEnvironmentVariable("TOKEND_SOCKET");
                Environment.SetEnvironmentVariable("TOKEND_SOCKET", fake.Path);
                using (var c = new TokendClient()) Check.Same(c.Get(Name).Value, "tok-01", "value");
                Environment.SetEnvironmentVariable("TOKEND_SOCKET", before);
            }
            Check.Throws<ArgumentException>("a long path", () => new TokendClient("/tmp/" + new string('x', 110)).Get(Name));
            Check.Throws<ArgumentException>("no time", () => new TokendClient("/tmp/x", TimeSpan.Zero));
        }

        public static void OneConnection()
        {
            Both(get =>
            {
                using (var fake = Fake.Answering(_ => "ERR NOT_FOUND - no such credential\n"))
                using (var c = new TokendClient(fake.Path))
                {
                    for (var i = 0; i < 10; i++)
                    {
                        var e = Check.Throws<TokendException>("an error", () => get(c));
                        Check.That(e.Code == "NOT_FOUND" && e.RetryAfter == null && e.Message.Contains("no such credential"), e.Message);
                    }
                    Check.Same(fake.Connections, 1, "connections");
                }
            });
        }

        public static void Restarted()
        {
            Both(get =>
            {
                using (var fake = new Fake(c => { if (c.Read() != null) c.Write("OK 7200 tok-01\n"); })) // then it closes
                using (var c = new TokendClient(fake.Path))
                {
                    for (var i = 0; i < 5; i++) Check.Same(get(c), "tok-01", "value");
                    Check.Same(fake.Connections, 5, "connections");
                }
                // The client notices only when it reads: the daemon closes after the request has arrived.
                using (var fake = new Fake(c =>
                {
                    for (var i = 0; c.Read() != null; i++)
                    {
                        if (c.Number == 1 && i == 1) return;
                        c.Write("OK 7200 tok-01\n");
                    }
                }))
                using (var c = new TokendClient(fake.Path))
                {
                    for (var i = 0; i < 3; i++) Check.Same(get(c), "tok-01", "value");
                    Check.Same(fake.Connections, 2, "connections");
                }
                using (var fake = new Fake(c => { if (c.Number > 1 && c.Read() != null) c.Write("OK 7200 tok-01\n"); }))
                using (var c = new TokendClient(fake.Path)) Check.Same(get(c), "tok-01", "value after a closed new connection");
                using (var fake = Fake.Answering(_ => null))
                using (var c = new TokendClient(fake.Path))
                {
                    Check.Throws<TokendBadReplyException>("closed", () => get(c));
                    Check.Same(fake.Connections, 2, "connections, of which the second is not retried");
                }
            });
        }

        public static void SentOnce()
        {
            foreach (var ask in new Action<TokendClient>[] {
                c => c.Refresh(Name), c => c.RefreshAsync(Name).GetAwaiter().GetResult(),
                c => c.Exchange(Owner, "code"), c => c.ExchangeAsync(Owner, "code").GetAwaiter().GetResult() })
            {
                using (var fake = Fake.Answering(line => line.StartsWith("GET") ? "OK 7200 tok-01\n" : null))
                using (var c = new TokendClient(fake.Path))
                {
                    c.Get(Name); // leaves a connection in the pool
                    Check.Throws<TokendBadReplyException>("closed", () => ask(c));
                    Check.Same(fake.Requests.Count, 2, "requests");
                    Check.Same(fake.Connections, 2, "connections");
                }
            }
        }

        public static void Slow()
        {
            Both(get =>
            {
                using (var fake = new Fake(c =>
                {
                    while (c.Read() != null)
                    {
                        if (c.Number == 1) Thread.Sleep(3000);
                        c.Write(c.Number == 1 ? "OK 7200 tok-late\n" : "OK 7200 tok-01\n");
                    }
                }))
                using (var c = new TokendClient(fake.Path, TimeSpan.FromMilliseconds(1500)))
                {
                    var e = Check.Throws<TokendTimeoutException>("slow", () => get(c));
                    Check.Same(e.Code, "TIMEOUT", "code");
                    Check.Same(get(c), "tok-01", "afterwards");
                    Thread.Sleep(2000);
                    Check.Same(get(c), "tok-01", "after the late reply");
                }
                // A byte now and then does not extend the time.
                using (var fake = new Fake(c => { c.Read(); for (var i = 0; i < 400; i++) { c.Write("O"); Thread.Sleep(25); } }))
                using (var c = new TokendClient(fake.Path, TimeSpan.FromMilliseconds(1500)))
                {
                    var watch = Stopwatch.StartNew();
                    Check.Throws<TokendTimeoutException>("byte by byte", () => get(c));
                    Check.That(watch.ElapsedMilliseconds < 8000, "waited " + watch.ElapsedMilliseconds + " ms");
                }
            });
        }

        public static void FullQueue()
        {
            var path = System.IO.Path.Combine(System.IO.Path.GetTempPath(), "tokend-" + Guid.NewGuid().ToString("N").Substring(0, 12));
            using (var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
            {
                listener.Bind(new UnixEndPoint(path));
                listener.Listen(0);
                var waiting = new List<Socket>();
                try
                {
                    while (true)
                    {
                        waiting.Add(new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { Blocking = false });
                        try { waiting[waiting.Count - 1].Connect(new UnixEndPoint(path)); }
                        catch (SocketException) { break; } // the queue is full
                    }
                    Both(get =>
                    {
                        using (var c = new TokendClient(path, TimeSpan.FromMilliseconds(300)))
                        {
                            var failed = System.Threading.Tasks.Task.Run(() => Check.Throws<TokendTimeoutException>("full queue", () => get(c)));
                            Check.That(failed.Wait(5000), "the client waits without a limit");
                        }
                    });
                }
                finally
                {
                    waiting.ForEach(s => s.Dispose());
                    System.IO.File.Delete(path);
                }
            }
        }

        public static void MalformedReplies()
        {
            foreach (var reply in new[] {
                "\n", "NO\n", "ok 1 v\n", "OK\n", "OK x tok-01\n", "OK 0 tok-01\n", "OK 01 tok-01\n", "OK 1 a tok-01\n", "OK 1  tok-01\n", "ERR\n",
                "ERR tok-01 - x\n", "ERR NOT_FOUND x tok-01\n", "ERR NOT_FOUND -\n", "OK 1 tok-01\r\n", "OK 1 tok-\u00e9\n", "OK 1 v\nOK 1 tok-01\n", "OK 1 tok-0",
                "OK 1 tok-" + new string('x', 65 * 1024) + "\n", "OK 1 tok-" + new string('x', 40000) + "\n" })
            {
                Both(get =>
                {
                    using (var fake = new Fake(c => { c.Read(); c.Write(reply); if (reply.EndsWith("\n")) c.Read(); }))
                    using (var c = new TokendClient(fake.Path))
                    {
                        var e = Check.Throws<TokendBadReplyException>(reply.Substring(0, Math.Min(20, reply.Length)), () => get(c));
                        Check.Same(e.Code, "BAD_REPLY", "code");
                        Check.Throws<TokendBadReplyException>("again", () => get(c));
                        Check.Same(fake.Connections, 2, "connections");
                    }
                });
            }
            using (var fake = Fake.Answering(line => "OK 2\n" + Name + " fresh 7200\n" + (line.EndsWith("b") ? "x\n" : "")))
            using (var c = new TokendClient(fake.Path, TimeSpan.FromMilliseconds(1500)))
            {
                Check.Throws<TokendTimeoutException>("half a list", () => c.List("a"));
                Check.Throws<TokendBadReplyException>("a malformed line", () => c.List("b"));
            }
        }

        public static void Codes()
        {
            foreach (var test in new[] {
                new { Reply = "ERR TOMORROW - a person must act\n", Code = "INTERNAL", After = (int?)null, Text = "TOMORROW: a person" },
                new { Reply = "ERR TOMORROW 5 not now\n", Code = "UNAVAILABLE", After = (int?)5, Text = "TOMORROW: not now" },
                new { Reply = "ERR REAUTH - authorize again\n", Code = "REAUTH", After = (int?)null, Text = "REAUTH: authorize" },
                new { Reply = "ERR LIMITED 30 not now\n", Code = "LIMITED", After = (int?)30, Text = "LIMITED: not now" } })
            {
                using (var fake = Fake.Answering(_ => test.Reply))
                using (var c = new TokendClient(fake.Path))
                {
                    var e = Check.Throws<TokendException>(test.Reply, () => c.Get(Name));
                    Check.That(e.GetType() == typeof(TokendException) && e.Code == test.Code && e.RetryAfter == test.After && e.Message.Contains(test.Text), e.Message);
                }
            }
        }

        // A daemon at its connection limit replies without reading, and closes.
        public static void Busy()
        {
            Both(get =>
            {
                using (var fake = new Fake(c => c.Write("ERR BUSY 1 too many connections\n")))
                using (var c = new TokendClient(fake.Path))
                    Check.Same(Check.Throws<TokendException>("busy", () => get(c)).Code, "BUSY", "code");
            });
        }

        // After SHUTDOWN the daemon closes the connection.
        public static void Shutdown()
        {
            using (var fake = Fake.Answering(_ => "ERR SHUTDOWN 1 the daemon is stopping\n"))
            using (var c = new TokendClient(fake.Path))
            {
                for (var i = 0; i < 3; i++) Check.Throws<TokendException>("stopping", () => c.Refresh(Name));
                Check.Throws<TokendException>("stopping", () => c.Get(Name));
                Check.Throws<TokendException>("stopping", () => c.Get(Name));
                Check.Same(fake.Connections, 5, "connections");
            }
        }

        static int Descriptors { get { return Directory.GetFileSystemEntries("/proc/self/fd").Length; } }

        public static void NoGrowth()
        {
            using (var fake = Fake.Tokens())
            using (var c = new TokendClient(fake.Path))
            {
                Action<int> call = n =>
                {
                    for (var i = 0; i < n; i++)
                    {
                        c.Get(Name);
                        c.GetAsync(Name).GetAwaiter().GetResult();
                    }
                };
                call(500);
                lock (fake.Requests) fake.Requests.Clear();
                int descriptors = Descriptors;
                long memory = GC.GetTotalMemory(true);
                call(5000);
                lock (fake.Requests) { fake.Requests.Clear(); fake.Requests.TrimExcess(); }
                Check.That(Descriptors <= descriptors, Descriptors + " descriptors, before " + descriptors);
                Check.That(GC.GetTotalMemory(true) < memory + (2 << 20), GC.GetTotalMemory(true) + " bytes, before " + memory);
            }
        }

        public static void ChildHasNoConnection()
        {
            using (var fake = Fake.Tokens())
            using (var c = new TokendClient(fake.Path))
            {
                c.Get(Name);
                var start = new ProcessStartInfo("ls", "-l /proc/self/fd") { RedirectStandardOutput = true, UseShellExecute = false };
                using (var ls = Process.Start(start))
                {
                    var output = ls.StandardOutput.ReadToEnd();
                    ls.WaitForExit();
                    Check.That(!output.Contains("socket:"), output);
                }
                Check.Same(c.Get(Name).Value, "tok-01", "value");
                Check.Same(fake.Connections, 1, "connections");
            }
        }

        static Fake Echo() { return Fake.Answering(line => "OK 7200 tok-" + line.Split('/')[1] + "\n"); }

        public static void OwnRepliesInThreads()
        {
            using (var fake = Echo())
            using (var c = new TokendClient(fake.Path))
            {
                var wrong = 0;
                var threads = Enumerable.Range(0, 50).Select(i => new Thread(() =>
                {
                    for (var round = 0; round < 20; round++)
                        if (c.Get("official_account/wx" + i + "/access_token").Value != "tok-wx" + i) Interlocked.Increment(ref wrong);
                })).ToList();
                threads.ForEach(t => t.Start());
                threads.ForEach(t => t.Join());
                Check.Same(wrong, 0, "values of other credentials");
            }
        }

        public static void OwnRepliesInTasks()
        {
            using (var fake = Echo())
            using (var c = new TokendClient(fake.Path))
            {
                Func<int, Task<bool>> run = async i =>
                {
                    for (var round = 0; round < 20; round++)
                    {
                        using (var cancel = new CancellationTokenSource())
                        {
                            if (round % 3 == 0) cancel.CancelAfter(i % 5);
                            try
                            {
                                var got = await c.GetAsync("official_account/wx" + i + "/access_token", cancel.Token);
                                if (got.Value != "tok-wx" + i) return false;
                            }
                            catch (OperationCanceledException) when (round % 3 == 0) { }
                        }
                    }
                    return true;
                };
                var all = Task.WhenAll(Enumerable.Range(0, 50).Select(run)).GetAwaiter().GetResult();
                Check.That(all.All(ok => ok), "values of other credentials");
            }
        }

        public static void Canceled()
        {
            using (var arrived = new SemaphoreSlim(0))
            using (var fake = new Fake(c =>
            {
                for (var line = c.Read(); line != null; line = c.Read())
                {
                    if (line.Contains("slow"))
                    {
                        arrived.Release();
                        Thread.Sleep(2000);
                    }
                    c.Write("OK 7200 tok-" + line.Split('/')[1] + "\n");
                }
            }))
            using (var c = new TokendClient(fake.Path))
            using (var cancel = new CancellationTokenSource())
            {
                var slow = c.GetAsync("official_account/slow/access_token", cancel.Token);
                arrived.Wait();
                cancel.Cancel();
                Check.Throws<OperationCanceledException>("canceled", () => slow.GetAwaiter().GetResult());
                Check.Same(c.Get(Name).Value, "tok-wx0123", "the next call");
                Thread.Sleep(2300);
                Check.Same(c.GetAsync(Name).GetAwaiter().GetResult().Value, "tok-wx0123", "a later call");
                Check.Same(fake.Connections, 2, "connections");
                Check.Throws<OperationCanceledException>("canceled before", () => c.GetAsync(Name, cancel.Token).GetAwaiter().GetResult());
                Check.Same(fake.Connections, 2, "connections afterwards");
            }
        }

        public static void InvalidArguments()
        {
            const string digest = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567";
            using (var fake = Fake.Tokens())
            using (var c = new TokendClient(fake.Path))
            {
                var texts = new[] { "", " ", "tok- 01", "tok-\n", "tok-\r", "tok-\t", "tok-\0", "tok-\x7f", "tok-\u00e9", "tok-" + new string('x', 65536) };
                foreach (var text in texts)
                {
                    var bad = text;
                    Action<Action> refused = f => Check.Throws<ArgumentException>("\"" + bad.Trim() + "\"", f);
                    refused(() => c.Get(bad));
                    refused(() => c.Get("official_account/" + bad + "/access_token"));
                    refused(() => c.GetAsync(bad).GetAwaiter().GetResult());
                    refused(() => c.Refresh(bad));
                    refused(() => c.Reject(Name, bad));
                    refused(() => c.Reject(bad, "v"));
                    refused(() => c.Put(Name, bad));
                    refused(() => c.Put(bad, "v"));
                    refused(() => c.Exchange(Owner, bad));
                    refused(() => c.Exchange(bad, "code"));
                    refused(() => c.Sign(bad, "https://example.com/"));
                    refused(() => c.Status(bad));
                    refused(() => c.Push(bad, digest, "1", "1", "AA=="));
                    refused(() => c.Push(Owner, bad, "1", "1", "AA=="));
                    refused(() => c.Push(Owner, digest, bad, "1", "AA=="));
                    refused(() => c.Push(Owner, digest, "1", bad, "AA=="));
                    refused(() => c.Push(Owner, digest, "1", "1", bad));
                    if (bad != "") refused(() => c.List(bad));
                    if (bad != "tok-\u00e9") refused(() => c.Sign(Name, bad));
                }
                foreach (var name in new[] { "a/b", "a/b/c/d/e/f", "a//c", "/b/c", "a/b/", "a/b/" + new string('x', 65), string.Join("/", Enumerable.Repeat(new string('x', 60), 5)) })
                    Check.Throws<ArgumentException>(name, () => c.Get(name));
                foreach (var owner in new[] { "a", "a/b/c", "a/", "/b" })
                    Check.Throws<ArgumentException>(owner, () => c.Exchange(owner, "code"));
                Check.Throws<ArgumentException>("null", () => c.Get(null));
                Check.Throws<ArgumentException>("null", () => c.Reject(Name, null));
                Check.Throws<ArgumentException>("half a character", () => c.Sign(Name, "https://example.com/\ud800"));
                Check.Throws<ArgumentException>("a long URL", () => c.Sign(Name, "https://example.com/" + new string('\u00e9', 20000)));
                Check.Throws<ArgumentException>("a short digest", () => c.Push(Owner, "0a", "1", "1", "AA=="));
                Check.Same(fake.Requests.Count, 0, "requests");
            }
        }

        public static void NothingShown()
        {
            using (var fake = Fake.Tokens())
            using (var c = new TokendClient(fake.Path))
            {
                var credential = c.Get(Name);
                Check.That(credential.Value == "tok-01" && credential.Ttl == TimeSpan.FromHours(2), "the value");
                Check.Same(credential.ToString(), "REDACTED", "text");
                Check.That(!(c + " " + credential).Contains("tok-"), "a text shows the value");
            }
        }

        public static void Use()
        {
            using (var fake = Fake.Tokens())
            using (var c = new TokendClient(fake.Path))
            {
                var seen = new List<string>();
                Func<string, string> once = value =>
                {
                    seen.Add(value);
                    if (value == "tok-01") throw new TokendStaleException("errcode 40001");
                    return "done";
                };
                Check.Same(c.Use(Name, once), "done", "result");
                Check.Same(c.UseAsync(Name, async value => { await Task.Yield(); return once(value); }).GetAwaiter().GetResult(), "done", "result");
                c.Use(Name, value => { once(value); });
                c.UseAsync(Name, async value => { await Task.Yield(); once(value); }).GetAwaiter().GetResult();
                Check.Same(string.Join(" ", seen), "tok-01 tok-02 tok-01 tok-02 tok-01 tok-02 tok-01 tok-02", "values");

                var calls = 0;
                Check.Throws<TokendStaleException>("refused twice", () => c.Use(Name, value => { calls++; throw new TokendStaleException(); }));
                Check.Throws<TokendStaleException>("refused twice", () => c.UseAsync(Name, value => { calls++; throw new TokendStaleException(); }).GetAwaiter().GetResult());
                Check.Same(calls, 4, "calls");
                Check.Throws<InvalidOperationException>("another exception", () => c.Use(Name, value => { calls++; throw new InvalidOperationException("x"); }));
                Check.Same(calls, 5, "calls");
                Check.Same(fake.Count("REJECT"), 6, "rejections");
            }
            using (var fake = Fake.Answering(line => line.StartsWith("GET") ? "OK 7200 tok-01\n" : "ERR LIMITED 30 not now\n"))
            using (var c = new TokendClient(fake.Path))
            {
                Check.Throws<TokendStaleException>("a failed rejection", () => c.Use(Name, value => { throw new TokendStaleException("errcode 40001"); }));
                Check.Throws<TokendStaleException>("a failed rejection", () => c.UseAsync(Name, value => { throw new TokendStaleException("errcode 40001"); }).GetAwaiter().GetResult());
            }
        }

        public static void Disposed()
        {
            using (var fake = Fake.Tokens())
            {
                var c = new TokendClient(fake.Path);
                c.Get(Name);
                c.Dispose();
                c.Dispose();
                Check.Throws<ObjectDisposedException>("disposed", () => c.Get(Name));
                Check.Throws<ObjectDisposedException>("disposed", () => c.GetAsync(Name).GetAwaiter().GetResult());
            }
        }
    }
}
