using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Http;
using System.Text;
using System.Text.RegularExpressions;
using System.Threading;
using System.Threading.Tasks;

namespace Tokend.Tests
{
    // WeChat is an API that refuses one token.
    sealed class WeChat : HttpMessageHandler
    {
        public readonly List<string> Urls = new List<string>();
        public readonly List<string> Bodies = new List<string>();
        public string Refusal = "{\"errcode\":40001,\"errmsg\":\"invalid credential\"}";
        public Func<string, bool> Refuses = url => url.Contains("token=tok-01");
        public HttpStatusCode Status = HttpStatusCode.OK;
        public Func<string, HttpContent> Content = text => new StreamContent(new MemoryStream(Encoding.UTF8.GetBytes(text))); // no length

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellation)
        {
            var body = request.Content == null ? "" : await request.Content.ReadAsStringAsync();
            lock (Urls)
            {
                Urls.Add(request.RequestUri.AbsoluteUri);
                Bodies.Add(body);
            }
            var refused = Refuses(request.RequestUri.AbsoluteUri);
            var content = refused ? Content(Refusal) : new StringContent("{\"errcode\":0}");
            content.Headers.TryAddWithoutValidation("X-Kept", "kept");
            return new HttpResponseMessage(Status) { Content = content };
        }
    }

    static class HandlerTests
    {
        const string Name = "official_account/wx0123/access_token";
        const string Url = "https://api.weixin.qq.com/cgi-bin/api?b=%20x&access_token=tok-01&a=1&tok-01";

        // Run makes a request with tok-01, which the client has returned.
        static string Run(Fake fake, WeChat wechat, HttpContent content = null, string url = Url, CancellationToken cancellation = default(CancellationToken))
        {
            using (var tokend = new TokendClient(fake.Path, TimeSpan.FromSeconds(5)))
            using (var http = new HttpClient(new TokendHandler(tokend, wechat)))
            {
                Check.Same(tokend.Get(Name).Value, "tok-01", "value");
                var request = new HttpRequestMessage(content == null ? HttpMethod.Get : HttpMethod.Post, url) { Content = content };
                var response = http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation).GetAwaiter().GetResult();
                return response.Content.ReadAsStringAsync().GetAwaiter().GetResult();
            }
        }

        static string Long { get { return new string('x', 100000); } }

        sealed class ShortContent : HttpContent
        {
            int times;
            protected override Task SerializeToStreamAsync(Stream stream, TransportContext context)
            {
                if (times++ > 0) throw new InvalidOperationException("consumed");
                return stream.WriteAsync(Encoding.UTF8.GetBytes("short"), 0, 5);
            }
            protected override bool TryComputeLength(out long length) { length = 5; return true; }
        }

        public static void Repeats()
        {
            foreach (var make in new Func<HttpContent>[] {
                () => null,
                () => new StringContent("{\"button\":[]}", Encoding.UTF8, "application/json"),
                () => new ByteArrayContent(Encoding.UTF8.GetBytes(Long)),
                () => new FormUrlEncodedContent(new Dictionary<string, string> { { "a", "b" } }),
                () => new MultipartFormDataContent("boundary") { { new ByteArrayContent(Encoding.UTF8.GetBytes(Long)), "media", "a.jpg" } },
                () => new ShortContent(),
                () => new StreamContent(new MemoryStream(Encoding.UTF8.GetBytes("a small file"))) })
            {
                using (var fake = Fake.Tokens())
                {
                    var wechat = new WeChat();
                    var about = make() == null ? "no content" : make().GetType().Name;
                    Check.Same(Run(fake, wechat, make()), "{\"errcode\":0}", about);
                    Check.Same(wechat.Urls.Count, 2, about + ": requests");
                    Check.Same(wechat.Urls[1], Url.Replace("access_token=tok-01", "access_token=tok-02"), about + ": URL");
                    Check.Same(wechat.Bodies[1], wechat.Bodies[0], about + ": body");
                    Check.Same(fake.Count("REJECT"), 1, about + ": rejections");
                }
            }
        }

        public static void NotRepeated()
        {
            using (var fake = Fake.Tokens())
            {
                var wechat = new WeChat();
                Check.Same(Run(fake, wechat, new StreamContent(new MemoryStream(Encoding.UTF8.GetBytes(Long)))), wechat.Refusal, "a long stream");
                Check.Same(wechat.Urls.Count, 1, "requests");
                Check.Same(wechat.Bodies[0], Long, "body");
                Check.Same(fake.Count("REJECT"), 1, "rejections");
            }
            using (var fake = Fake.Tokens())
            {
                var wechat = new WeChat { Refuses = _ => true };
                Check.Same(Run(fake, wechat), wechat.Refusal, "refused twice");
                Check.Same(wechat.Urls.Count, 2, "requests");
            }
            using (var fake = Fake.Answering(_ => "OK 7200 tok-01\n"))
            {
                var wechat = new WeChat();
                Check.Same(Run(fake, wechat), wechat.Refusal, "the same value");
                Check.Same(wechat.Urls.Count, 1, "requests");
            }
            using (var fake = Fake.Answering(line => line.StartsWith("GET") ? "OK 7200 tok-01\n" : "ERR LIMITED 30 not now\n"))
            {
                var wechat = new WeChat();
                Check.Same(Run(fake, wechat), wechat.Refusal, "a failed rejection");
                Check.Same(wechat.Urls.Count, 1, "requests");
            }
        }

        public static void PassedOn()
        {
            const string refusal = "{\"errcode\":40001,\"errmsg\":\"invalid credential\"}";
            var limit = 64 * 1024;
            foreach (var body in new[] {
                "{\"errcode\":45009}", "{\"errcode\":40082}", "{\"errcode\":\"40001\"}", "{\"errcode\":40001.5}", "{\"ErrCode\":40001}",
                "{\"data\":{\"errcode\":40001}}", "[{\"errcode\":40001}]", "{\"errcode\":40001", "{\"errcode\":40001} {}", "{\"errcode\":40001,}",
                "{\"errcode\":40001 \"x\":1}", "{\"errcode\":040001}", "{\"a\":\"\x01\",\"errcode\":40001}", "{\"a\":\"\\x\",\"errcode\":40001}",
                "{\"a\":tru,\"errcode\":40001}", "{\"errcode\":40001,\"errcode\":0}", "", "   ", "<html>40001</html>", "40001", "null",
                "{\"a\":" + new string('[', 10000) + ",\"errcode\":40001}", refusal + new string(' ', limit + 1 - refusal.Length) })
            {
                foreach (var content in new Func<string, HttpContent>[] { text => new StringContent(text), new WeChat().Content })
                {
                    using (var fake = Fake.Tokens())
                    {
                        var wechat = new WeChat { Refusal = body, Content = content };
                        var about = body.Substring(0, Math.Min(50, body.Length));
                        Check.That(Run(fake, wechat) == body, about + ": the caller sees another body");
                        Check.Same(wechat.Urls.Count, 1, about + ": requests");
                        Check.Same(fake.Count("REJECT"), 0, about + ": rejections");
                    }
                }
            }
            foreach (var status in new[] { 201, 400, 500 })
            {
                using (var fake = Fake.Tokens())
                {
                    var wechat = new WeChat { Status = (HttpStatusCode)status };
                    Check.Same(Run(fake, wechat), refusal, "status " + status);
                    Check.Same(wechat.Urls.Count, 1, "requests");
                }
            }
            foreach (var query in new[] { "access_token=tok-00", "token=tok-01", "suite_access_token=tok-01", "", "x", "access_token=", "#access_token=tok-01" })
            {
                using (var fake = Fake.Tokens())
                {
                    var wechat = new WeChat { Refuses = _ => true };
                    Check.Same(Run(fake, wechat, null, "https://api.weixin.qq.com/?" + query), refusal, query);
                    Check.Same(wechat.Urls.Count, 1, query + ": requests");
                }
            }
        }

        public static void Recognized()
        {
            var limit = 64 * 1024;
            foreach (var body in new[] {
                " \r\n\t{ \"errmsg\" : \"a\\u4e2d\\\"\\n\", \"errcode\" : 40001 , \"list\":[1,-2.5e+3,{},[],true,false,null] } \n", "{\"\\u0065rrcode\":40001}",
                "{\"errcode\":40001}" + new string(' ', limit - 17) })
            {
                foreach (var content in new Func<string, HttpContent>[] { text => new StringContent(text), new WeChat().Content })
                {
                    using (var fake = Fake.Tokens())
                    {
                        var wechat = new WeChat { Refusal = body, Content = content };
                        Check.Same(Run(fake, wechat), "{\"errcode\":0}", body.Substring(0, Math.Min(30, body.Length)));
                    }
                }
            }
        }

        // The table is the one that all client libraries share.
        public static void Parameters()
        {
            var want = new SortedDictionary<string, string>();
            foreach (Match m in Regex.Matches(File.ReadAllText(Program.StaleJson), "\"([a-z_]+)\": \\[([0-9, ]+)\\]"))
                want[m.Groups[1].Value] = m.Groups[2].Value;
            var got = TokendHandler.Stale.ToDictionary(p => p.Key, p => string.Join(", ", p.Value));
            Check.Same(string.Join("; ", got.OrderBy(p => p.Key)), string.Join("; ", want.OrderBy(p => p.Key)), "table");
            Check.Same(want.Count, 4, "parameters");
            foreach (var parameter in TokendHandler.Stale)
            {
                foreach (var code in new[] { 40001, 40014, 40082, 42001, 42009 })
                {
                    using (var fake = Fake.Tokens())
                    {
                        var wechat = new WeChat { Refusal = "{\"errcode\":" + code + "}" };
                        Run(fake, wechat, null, "https://api.weixin.qq.com/?" + parameter.Key + "=tok-01");
                        Check.Same(wechat.Urls.Count, parameter.Value.Contains(code) ? 2 : 1, parameter.Key + " " + code);
                    }
                }
            }
        }

        public static void ResponseKept()
        {
            using (var fake = Fake.Tokens())
            using (var tokend = new TokendClient(fake.Path))
            using (var http = new HttpClient(new TokendHandler(tokend, new WeChat { Refusal = "{\"errcode\":45009}" })))
            {
                tokend.Get(Name);
                var response = http.GetAsync(Url).GetAwaiter().GetResult();
                Check.Same(response.Content.Headers.GetValues("X-Kept").Single(), "kept", "header");
                Check.Same(response.RequestMessage == null ? Url : response.RequestMessage.RequestUri.AbsoluteUri, Url, "URL");
            }
        }

        public static void CanceledRejection()
        {
            using (var cancel = new CancellationTokenSource())
            using (var fake = new Fake(c =>
            {
                for (var line = c.Read(); line != null; line = c.Read())
                {
                    if (line.StartsWith("GET")) c.Write("OK 7200 tok-01\n");
                    else cancel.Cancel(); // and no reply
                }
            }))
            using (var tokend = new TokendClient(fake.Path))
            {
                var wechat = new WeChat();
                tokend.Get(Name);
                using (var invoker = new HttpMessageInvoker(new TokendHandler(tokend, wechat)))
                {
                    var response = invoker.SendAsync(new HttpRequestMessage(HttpMethod.Get, Url), cancel.Token).GetAwaiter().GetResult();
                    Check.Same(response.Content.ReadAsStringAsync().GetAwaiter().GetResult(), wechat.Refusal, "body");
                }
            }
        }

        // A stream that ends only when it is told to.
        sealed class Endless : Stream
        {
            public readonly ManualResetEventSlim End = new ManualResetEventSlim();
            int reads;
            public override int Read(byte[] buffer, int offset, int count)
            {
                if (reads++ > 0) { End.Wait(); return 0; }
                buffer[offset] = (byte)'a';
                return 1;
            }
            public override bool CanRead { get { return true; } }
            public override bool CanSeek { get { return false; } }
            public override bool CanWrite { get { return false; } }
            public override long Length { get { throw new NotSupportedException(); } }
            public override long Position { get { throw new NotSupportedException(); } set { } }
            public override void Flush() { }
            public override long Seek(long o, SeekOrigin s) { throw new NotSupportedException(); }
            public override void SetLength(long v) { }
            public override void Write(byte[] b, int o, int c) { }
        }

        public static void Streams()
        {
            using (var fake = Fake.Tokens())
            using (var tokend = new TokendClient(fake.Path))
            {
                var download = new Endless();
                tokend.Get(Name);
                using (var http = new HttpClient(new TokendHandler(tokend, new WeChat { Content = _ => new StreamContent(download) })))
                {
                    var response = http.GetAsync(Url, HttpCompletionOption.ResponseHeadersRead).GetAwaiter().GetResult();
                    var stream = response.Content.ReadAsStreamAsync().GetAwaiter().GetResult();
                    Check.Same(stream.ReadByte(), (int)'a', "the first byte, before the end");
                    download.End.Set();
                    Check.Same(stream.ReadByte(), -1, "the end");
                }
            }
        }

        public static void Concurrent()
        {
            using (var fake = Fake.Tokens())
            using (var tokend = new TokendClient(fake.Path))
            {
                tokend.Get(Name);
                var wechat = new WeChat();
                using (var http = new HttpClient(new TokendHandler(tokend, wechat)))
                {
                    var all = Task.WhenAll(Enumerable.Range(0, 50).Select(async _ =>
                        await (await http.PostAsync(Url, new StringContent("body"))).Content.ReadAsStringAsync())).GetAwaiter().GetResult();
                    Check.That(all.All(body => body == "{\"errcode\":0}"), string.Join(" ", all.Distinct()));
                    Check.Same(wechat.Urls.Count, 100, "requests");
                }
            }
        }
    }
}
