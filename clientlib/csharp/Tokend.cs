// Tokend.cs is a client for tokend, in one file. It needs C# 7.3 and netstandard2.0, which includes
// .NET Framework 4.7.2, mono, and every .NET since Core 2.0. Copy it, or reference Tokend.csproj.
// docs/csharp.md has examples.
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Http;
using System.Net.Sockets;
using System.Runtime.ExceptionServices;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

namespace Tokend
{
    /// <summary>An error of a request. Code is a code of the protocol, such as NOT_FOUND, or that
    /// of a subclass. No message contains a value.</summary>
    public class TokendException : Exception
    {
        /// <summary>A code that a later version of the daemon sends is INTERNAL if RetryAfter is
        /// null, and UNAVAILABLE otherwise. The message then begins with the received
        /// code.</summary>
        public string Code { get; }

        /// <summary>Whole seconds after which a retry may help. null: not until an operator or a
        /// customer acts.</summary>
        public int? RetryAfter { get; }

        public TokendException(string code, int? retryAfter, string message, Exception inner = null)
            : base(message, inner)
        {
            Code = code;
            RetryAfter = retryAfter;
        }
    }

    /// <summary>Nothing listens at the socket, or this user may not open it.</summary>
    public sealed class TokendNoDaemonException : TokendException
    {
        internal TokendNoDaemonException(string socket, SocketException inner)
            : base("NO_DAEMON", null, "tokend: no daemon at " + socket + " (" + inner.Message + "): " +
                (inner.SocketErrorCode == SocketError.AccessDenied
                    ? "add the user of this program to the group of the socket (usermod -aG tokend USER), then restart the program"
                    : "start it with systemctl start tokend, or set TOKEND_SOCKET to its path"), inner) { }
    }

    /// <summary>No reply within the timeout.</summary>
    public sealed class TokendTimeoutException : TokendException
    {
        internal TokendTimeoutException(string socket, TimeSpan timeout)
            : base("TIMEOUT", 1, "tokend: no reply from " + socket + " within " + timeout.TotalSeconds + " s") { }
    }

    /// <summary>The peer at the socket does not speak the protocol, or closed the connection before
    /// the end of a reply.</summary>
    public sealed class TokendBadReplyException : TokendException
    {
        internal TokendBadReplyException(string what, Exception inner = null)
            : base("BAD_REPLY", null, "tokend: malformed reply: " + what, inner) { }
    }

    /// <summary>Thrown by a function that Use calls: WeChat refused the value as invalid or
    /// expired.</summary>
    public class TokendStaleException : Exception
    {
        public TokendStaleException() : base("WeChat refused the value as invalid or expired") { }
        public TokendStaleException(string message, Exception inner = null) : base(message, inner) { }
    }

    /// <summary>A value that was valid when the daemon sent it.</summary>
    public sealed class TokendCredential
    {
        public string Value { get; }
        public TimeSpan Ttl { get; }

        public TokendCredential(string value, TimeSpan ttl)
        {
            Value = value;
            Ttl = ttl;
        }

        /// <summary>Shows no value, so that no log shows it by accident.</summary>
        public override string ToString() { return "REDACTED"; }
    }

    /// <summary>What a page passes to wx.config or wx.agentConfig.</summary>
    public sealed class TokendSignature
    {
        public long Timestamp { get; internal set; }
        public string Nonce { get; internal set; }
        public string Signature { get; internal set; }
    }

    /// <summary>A line of LIST.</summary>
    public sealed class TokendListing
    {
        public string Name { get; internal set; }
        public string State { get; internal set; }

        /// <summary>null: it does not expire, or has no value.</summary>
        public TimeSpan? Ttl { get; internal set; }
    }

    /// <summary>Sends requests to the tokend of this host. Create one for the process and share it:
    /// it is safe for concurrent use. Ask for a value before each call of WeChat's API and do not
    /// keep it: a request takes microseconds. An invalid argument is an ArgumentException, and
    /// nothing is sent.</summary>
    public sealed class TokendClient : IDisposable
    {
        /// <summary>Slightly more than the daemon's own limit for a fetch, so that its error
        /// arrives.</summary>
        public static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(35);

        public const int MaxIdleConnections = 8;

        readonly string path;
        readonly TimeSpan timeout;
        readonly object gate = new object(); // guards idle and disposed
        readonly Stack<Connection> idle = new Stack<Connection>();
        bool disposed;

        internal readonly HandedOut Handed = new HandedOut();

        /// <summary>Without a socket, it is that of $TOKEND_SOCKET, then
        /// /run/tokend/tokend.sock.</summary>
        public TokendClient(string socket = null, TimeSpan? timeout = null)
        {
            if (string.IsNullOrEmpty(socket)) socket = Environment.GetEnvironmentVariable("TOKEND_SOCKET");
            path = string.IsNullOrEmpty(socket) ? "/run/tokend/tokend.sock" : socket;
            this.timeout = timeout ?? DefaultTimeout;
            if (this.timeout <= TimeSpan.Zero || this.timeout.TotalMilliseconds > int.MaxValue)
                throw new ArgumentOutOfRangeException("timeout");
        }

        /// <summary>A valid value. Waits for WeChat only if the daemon has none.</summary>
        public TokendCredential Get(string name) { return Remember(name, Send(Request.Get(name))); }
        public async Task<TokendCredential> GetAsync(string name, CancellationToken cancellation = default)
        {
            return Remember(name, await SendAsync(Request.Get(name), cancellation).ConfigureAwait(false));
        }

        /// <summary>Reports that WeChat refused the value, and returns the one to use instead. The
        /// daemon fetches only if the value is still current.</summary>
        public TokendCredential Reject(string name, string value) { return Remember(name, Send(Request.Reject(name, value))); }
        public async Task<TokendCredential> RejectAsync(string name, string value, CancellationToken cancellation = default)
        {
            return Remember(name, await SendAsync(Request.Reject(name, value), cancellation).ConfigureAwait(false));
        }

        /// <summary>Fetches a new value in any case, which spends quota. It is never sent
        /// twice.</summary>
        public TokendCredential Refresh(string name) { return Remember(name, Send(Request.Refresh(name))); }
        public async Task<TokendCredential> RefreshAsync(string name, CancellationToken cancellation = default)
        {
            return Remember(name, await SendAsync(Request.Refresh(name), cancellation).ConfigureAwait(false));
        }

        /// <summary>Submits a pushed ticket or a grant. It is durable when Put returns.</summary>
        public void Put(string name, string value) { Send(Request.Put(name, value)); }
        public Task PutAsync(string name, string value, CancellationToken cancellation = default)
        {
            return SendAsync(Request.Put(name, value), cancellation);
        }

        /// <summary>Submits an encrypted callback, for owner open_platform/ID or open_work/ID.
        /// Answer WeChat "success" only after Push has returned.</summary>
        public void Push(string owner, string msgSignature, string timestamp, string nonce, string encrypt)
        {
            Send(Request.Push(owner, msgSignature, timestamp, nonce, encrypt));
        }
        public Task PushAsync(string owner, string msgSignature, string timestamp, string nonce, string encrypt, CancellationToken cancellation = default)
        {
            return SendAsync(Request.Push(owner, msgSignature, timestamp, nonce, encrypt), cancellation);
        }

        /// <summary>Exchanges an authorization code and returns the customer as owner/child. It is
        /// never sent twice.</summary>
        public string Exchange(string owner, string code) { return Send(Request.Exchange(owner, code)); }
        public Task<string> ExchangeAsync(string owner, string code, CancellationToken cancellation = default)
        {
            return SendAsync(Request.Exchange(owner, code), cancellation);
        }

        /// <summary>The JS-SDK signature of the page at url, made with a ticket.</summary>
        public TokendSignature Sign(string name, string url) { return Send(Request.Sign(name, url)); }
        public Task<TokendSignature> SignAsync(string name, string url, CancellationToken cancellation = default)
        {
            return SendAsync(Request.Sign(name, url), cancellation);
        }

        /// <summary>The credentials whose names begin with prefix.</summary>
        public IList<TokendListing> List(string prefix = "") { return Send(Request.List(prefix)); }
        public Task<IList<TokendListing>> ListAsync(string prefix = "", CancellationToken cancellation = default)
        {
            return SendAsync(Request.List(prefix), cancellation);
        }

        /// <summary>Everything about a credential except its value, in the daemon's
        /// order.</summary>
        public IList<KeyValuePair<string, string>> Status(string name) { return Send(Request.Status(name)); }
        public Task<IList<KeyValuePair<string, string>>> StatusAsync(string name, CancellationToken cancellation = default)
        {
            return SendAsync(Request.Status(name), cancellation);
        }

        /// <summary>Calls f with a valid value. If f throws TokendStaleException, rejects the value
        /// and calls f again with the one to use instead. If the rejection fails, f's exception is
        /// thrown.</summary>
        public T Use<T>(string name, Func<string, T> f)
        {
            var value = Get(name).Value;
            ExceptionDispatchInfo stale;
            try { return f(value); }
            catch (TokendStaleException e) { stale = ExceptionDispatchInfo.Capture(e); }
            try { value = Reject(name, value).Value; }
            catch (TokendException) { stale.Throw(); }
            return f(value);
        }
        public void Use(string name, Action<string> f) { Use(name, value => { f(value); return true; }); }

        public async Task<T> UseAsync<T>(string name, Func<string, Task<T>> f, CancellationToken cancellation = default)
        {
            var value = (await GetAsync(name, cancellation).ConfigureAwait(false)).Value;
            ExceptionDispatchInfo stale;
            try { return await f(value).ConfigureAwait(false); }
            catch (TokendStaleException e) { stale = ExceptionDispatchInfo.Capture(e); }
            try { value = (await RejectAsync(name, value, cancellation).ConfigureAwait(false)).Value; }
            catch (TokendException) { stale.Throw(); }
            return await f(value).ConfigureAwait(false);
        }
        public Task UseAsync(string name, Func<string, Task> f, CancellationToken cancellation = default)
        {
            return UseAsync(name, async value => { await f(value).ConfigureAwait(false); return true; }, cancellation);
        }

        /// <summary>Closes the idle connections. Later requests throw
        /// ObjectDisposedException.</summary>
        public void Dispose()
        {
            lock (gate) disposed = true;
            DropIdle();
        }

        TokendCredential Remember(string name, TokendCredential credential)
        {
            Handed.Add(credential.Value, name);
            return credential;
        }

        // A request is sent a second time if the connection was closed before the first byte of a
        // reply. Requests that must not be sent twice do not use the pool.
        T Send<T>(Request<T> request)
        {
            var deadline = new Deadline(timeout);
            var pooled = request.Once ? null : Take();
            try { return Exchange(pooled ?? Connect(deadline), request, deadline); }
            catch (ClosedException e) when (request.Once) { throw Closed(e); }
            catch (ClosedException) { DropIdle(); }
            try { return Exchange(Connect(deadline), request, deadline); }
            catch (ClosedException e) { throw Closed(e); }
        }

        async Task<T> SendAsync<T>(Request<T> request, CancellationToken cancellation)
        {
            cancellation.ThrowIfCancellationRequested();
            var deadline = new Deadline(timeout);
            var pooled = request.Once ? null : Take();
            try
            {
                var first = pooled ?? await ConnectAsync(deadline, cancellation).ConfigureAwait(false);
                return await ExchangeAsync(first, request, deadline, cancellation).ConfigureAwait(false);
            }
            catch (ClosedException e) when (request.Once) { throw Closed(e); }
            catch (ClosedException) { DropIdle(); }
            var connection = await ConnectAsync(deadline, cancellation).ConfigureAwait(false);
            try { return await ExchangeAsync(connection, request, deadline, cancellation).ConfigureAwait(false); }
            catch (ClosedException e) { throw Closed(e); }
        }

        TokendException Closed(Exception e)
        {
            return new TokendBadReplyException("the daemon at " + path + " closed the connection without a reply", e);
        }

        T Exchange<T>(Connection connection, Request<T> request, Deadline deadline)
        {
            Exception sending = null;
            List<string> lines;
            try
            {
                try { connection.Write(request.Line, deadline); }
                catch (SocketException e) { sending = e; } // a full daemon replies without reading
                lines = new List<string>();
                do lines.Add(connection.ReadLine(deadline)); while (Reply.Wants(lines, request.Many));
            }
            catch (Exception e)
            {
                connection.Dispose();
                throw Explain(e, sending, connection, CancellationToken.None, deadline.Passed || IsTimeout(e));
            }
            return Finish(connection, request, lines, sending);
        }

        async Task<T> ExchangeAsync<T>(Connection connection, Request<T> request, Deadline deadline, CancellationToken cancellation)
        {
            Exception sending = null;
            List<string> lines;
            using (var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation))
            {
                limit.CancelAfter(deadline.Left);
                // A pending call fails when its socket is disposed. mono sometimes forgets such a
                // call, so it is not waited for.
                var ended = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
                var closing = limit.Token.Register(() => { ended.TrySetResult(true); connection.Dispose(); });
                try
                {
                    try { await Until(connection.WriteAsync(request.Line), ended.Task).ConfigureAwait(false); }
                    catch (Exception e) when (e is SocketException || e is IOException) { sending = e; }
                    lines = new List<string>();
                    do
                    {
                        var line = connection.ReadLineAsync();
                        await Until(line, ended.Task).ConfigureAwait(false);
                        lines.Add(line.Result);
                    } while (Reply.Wants(lines, request.Many));
                }
                catch (Exception e)
                {
                    closing.Dispose();
                    connection.Dispose();
                    throw Explain(e, sending, connection, cancellation, limit.IsCancellationRequested);
                }
                closing.Dispose(); // waits for a Dispose that has begun: then the connection is not pooled
            }
            return Finish(connection, request, lines, sending);
        }

        // Until waits for call. It throws if call fails, or if ended comes first.
        static async Task Until(Task call, Task ended)
        {
            if (!call.IsCompleted && await Task.WhenAny(call, ended).ConfigureAwait(false) == ended && !call.IsCompleted)
            {
                _ = call.ContinueWith(t => t.Exception, TaskContinuationOptions.OnlyOnFaulted); // observed
                throw new OperationCanceledException();
            }
            await call.ConfigureAwait(false);
        }

        // Explain returns the exception for e, with which a request on connection ended.
        Exception Explain(Exception e, Exception sending, Connection connection, CancellationToken cancellation, bool late)
        {
            if (e is TokendException) return e;
            if (cancellation.IsCancellationRequested) return new OperationCanceledException(cancellation);
            if (late) return new TokendTimeoutException(path, timeout);
            if (!connection.ReplyBegun && !disposed) return new ClosedException(sending ?? e);
            return new TokendBadReplyException("the connection to " + path + " was closed in the middle", e);
        }

        static bool IsTimeout(Exception e)
        {
            var socket = e as SocketException;
            return socket != null && (socket.SocketErrorCode == SocketError.TimedOut || socket.SocketErrorCode == SocketError.WouldBlock);
        }

        T Finish<T>(Connection connection, Request<T> request, List<string> lines, Exception sending)
        {
            var reusable = false;
            try
            {
                if (connection.Buffered > 0) throw new TokendBadReplyException("more than one reply");
                var fields = Reply.Fields(lines[0], out var refusal);
                reusable = sending == null && (refusal == null || refusal.Code != "SHUTDOWN");
                if (refusal != null) throw refusal;
                try { return request.Parse(fields, lines); }
                catch (TokendException) { reusable = false; throw; }
            }
            finally
            {
                if (reusable) Keep(connection); else connection.Dispose();
            }
        }

        Connection Take()
        {
            while (true)
            {
                Connection connection;
                lock (gate)
                {
                    if (idle.Count == 0) return null;
                    connection = idle.Pop();
                }
                if (connection.IsQuiet) return connection;
                connection.Dispose(); // closed by the daemon, or with bytes that nobody asked for
            }
        }

        void Keep(Connection connection)
        {
            lock (gate)
            {
                if (!disposed && idle.Count < MaxIdleConnections)
                {
                    idle.Push(connection);
                    return;
                }
            }
            connection.Dispose();
        }

        void DropIdle()
        {
            lock (gate)
            {
                while (idle.Count > 0) idle.Pop().Dispose();
            }
        }

        // On Linux, connect fails at once with EAGAIN while the listen queue is full.
        Connection Connect(Deadline deadline)
        {
            for (var pause = 1; ; pause = Math.Min(2 * pause, 8))
            {
                var connection = TryConnect(deadline);
                if (connection != null) return connection;
                Thread.Sleep(pause);
            }
        }

        async Task<Connection> ConnectAsync(Deadline deadline, CancellationToken cancellation)
        {
            for (var pause = 1; ; pause = Math.Min(2 * pause, 8))
            {
                var connection = TryConnect(deadline); // does not block: the kernel connects Unix sockets at once
                if (connection != null) return connection;
                await Task.Delay(pause, cancellation).ConfigureAwait(false);
            }
        }

        // TryConnect returns null if the listen queue is full.
        Connection TryConnect(Deadline deadline)
        {
            lock (gate)
            {
                if (disposed) throw new ObjectDisposedException("TokendClient");
            }
            Socket socket = null;
            try
            {
                socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                socket.Blocking = false; // else connect waits without a limit while the queue is full
                socket.Connect(new UnixEndPoint(path));
                socket.Blocking = true;
                return new Connection(socket);
            }
            catch (SocketException e)
            {
                socket?.Dispose();
                // The codes of other errors differ between mono and .NET.
                if (e.SocketErrorCode != SocketError.WouldBlock && e.SocketErrorCode != SocketError.TryAgain)
                    throw new TokendNoDaemonException(path, e);
                if (deadline.Passed) throw new TokendTimeoutException(path, timeout);
                return null;
            }
        }
    }

    /// <summary>A handler for HttpClient. If WeChat refuses a token that came from the same
    /// TokendClient, it rejects the token and repeats the request once with the new one. Otherwise
    /// the caller gets WeChat's response unchanged. A request is repeated if it has no content, or
    /// ByteArrayContent, StringContent, FormUrlEncodedContent, a MultipartContent of these, or
    /// another content of a known length up to 64 KiB.</summary>
    public sealed class TokendHandler : DelegatingHandler
    {
        /// <summary>The errcodes with which WeChat refuses a token, by the parameter that carried
        /// it.</summary>
        internal static readonly Dictionary<string, int[]> Stale = new Dictionary<string, int[]>
        {
            { "access_token", new[] { 40001, 40014, 42001 } },
            { "component_access_token", new[] { 40001, 40014, 42001 } },
            { "suite_access_token", new[] { 40014, 40082, 42001, 42009 } },
            { "provider_access_token", new[] { 40014, 40082, 42001 } },
        };

        const int Limit = 64 << 10; // of a body that is examined or held

        readonly TokendClient client;

        /// <summary>For IHttpClientFactory, which sets InnerHandler.</summary>
        public TokendHandler(TokendClient client)
        {
            this.client = client ?? throw new ArgumentNullException("client");
        }

        public TokendHandler(TokendClient client, HttpMessageHandler inner) : base(inner)
        {
            this.client = client ?? throw new ArgumentNullException("client");
        }

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellation)
        {
            var tokens = Tokens(request.RequestUri);
            if (tokens.Count == 0) return await base.SendAsync(request, cancellation).ConfigureAwait(false);
            var repeatable = await IsRepeatable(request.Content).ConfigureAwait(false);
            var response = await base.SendAsync(request, cancellation).ConfigureAwait(false);
            var errcode = await Errcode(response, cancellation).ConfigureAwait(false);
            foreach (var token in tokens)
            {
                if (Array.IndexOf(Stale[token.Parameter], errcode) < 0) continue;
                string fresh;
                try { fresh = (await client.RejectAsync(token.Name, token.Value, cancellation).ConfigureAwait(false)).Value; }
                catch (Exception e) when (e is TokendException || e is OperationCanceledException || e is ObjectDisposedException) { return response; }
                if (fresh == token.Value || !repeatable) return response;
                response.Dispose();
                request.RequestUri = token.Replaced(request.RequestUri, fresh);
                return await base.SendAsync(request, cancellation).ConfigureAwait(false);
            }
            return response;
        }

        struct Token
        {
            public string Parameter, Value, Name;

            // Replaced changes nothing but the value.
            public Uri Replaced(Uri uri, string value)
            {
                var text = uri.AbsoluteUri;
                var query = Query(text, out var start);
                var pairs = query.Split('&');
                for (var i = 0; i < pairs.Length; i++)
                {
                    if (Split(pairs[i], out var parameter, out var old) && parameter == Parameter && old == Value)
                        pairs[i] = pairs[i].Substring(0, pairs[i].IndexOf('=') + 1) + Uri.EscapeDataString(value);
                }
                return new Uri(text.Substring(0, start) + string.Join("&", pairs) + text.Substring(start + query.Length));
            }
        }

        List<Token> Tokens(Uri uri)
        {
            var found = new List<Token>();
            if (uri == null || !uri.IsAbsoluteUri) return found;
            foreach (var pair in Query(uri.AbsoluteUri, out _).Split('&'))
            {
                if (Split(pair, out var parameter, out var value) && Stale.ContainsKey(parameter) && client.Handed.TryGetName(value, out var name))
                    found.Add(new Token { Parameter = parameter, Value = value, Name = name });
            }
            return found;
        }

        static string Query(string uri, out int start)
        {
            var end = uri.IndexOf('#');
            if (end < 0) end = uri.Length;
            start = uri.IndexOf('?', 0, end) + 1;
            return start == 0 ? "" : uri.Substring(start, end - start);
        }

        static bool Split(string pair, out string parameter, out string value)
        {
            var i = pair.IndexOf('=');
            parameter = i < 0 ? null : Uri.UnescapeDataString(pair.Substring(0, i).Replace('+', ' '));
            value = i < 0 ? null : Uri.UnescapeDataString(pair.Substring(i + 1).Replace('+', ' '));
            return i >= 0;
        }

        static async Task<bool> IsRepeatable(HttpContent content)
        {
            if (content == null || content is ByteArrayContent) return true;
            var parts = content as MultipartContent;
            if (parts != null && parts.All(part => part is ByteArrayContent)) return true;
            if (content.Headers.ContentLength == null || content.Headers.ContentLength > Limit) return false;
            await content.LoadIntoBufferAsync().ConfigureAwait(false);
            return true;
        }

        // Errcode returns the errcode of a response, or 0 if it has none. The content then reads as
        // before. Nothing but a JSON object is read beyond its first bytes, so a download streams.
        static async Task<int> Errcode(HttpResponseMessage response, CancellationToken cancellation)
        {
            var content = response.Content;
            if (response.StatusCode != HttpStatusCode.OK || content == null || content.Headers.ContentLength > Limit) return 0;
            var stream = await content.ReadAsStreamAsync().ConfigureAwait(false);
            var held = new byte[4096];
            var length = 0;
            var ended = false;
            var isObject = false;
            IOException failed = null;
            try
            {
                while (length <= Limit && !ended)
                {
                    if (length == held.Length) Array.Resize(ref held, Math.Min(2 * held.Length, Limit + 1));
                    var n = await stream.ReadAsync(held, length, held.Length - length, cancellation).ConfigureAwait(false);
                    ended = n == 0;
                    length += n;
                    var first = 0;
                    while (first < length && Json.IsSpace(held[first])) first++;
                    isObject = first < length && held[first] == '{';
                    if (first < length && !isObject) break;
                }
            }
            catch (IOException e) { failed = e; }
            catch { response.Dispose(); throw; } // canceled
            response.Content = new StreamContent(new BegunStream(held, length, stream, failed));
            foreach (var header in content.Headers) response.Content.Headers.TryAddWithoutValidation(header.Key, header.Value);
            return ended && isObject && length <= Limit ? Json.Errcode(held, length) : 0;
        }
    }

    // The rest is internal.

    // HandedOut knows the names of the values that were returned last.
    sealed class HandedOut
    {
        const int Limit = 4096;

        readonly Dictionary<string, LinkedListNode<KeyValuePair<string, string>>> known = new Dictionary<string, LinkedListNode<KeyValuePair<string, string>>>();
        readonly LinkedList<KeyValuePair<string, string>> order = new LinkedList<KeyValuePair<string, string>>(); // the last one first

        public void Add(string value, string name)
        {
            lock (known)
            {
                if (known.TryGetValue(value, out var node)) order.Remove(node);
                known[value] = order.AddFirst(new KeyValuePair<string, string>(value, name));
                if (order.Count <= Limit) return;
                known.Remove(order.Last.Value.Key);
                order.RemoveLast();
            }
        }

        public bool TryGetName(string value, out string name)
        {
            lock (known)
            {
                var found = known.TryGetValue(value, out var node);
                name = found ? node.Value.Value : null;
                return found;
            }
        }
    }

    // UnixEndPoint is the address of a Unix socket, which netstandard2.0 lacks.
    sealed class UnixEndPoint : EndPoint
    {
        readonly string path;

        public UnixEndPoint(string path) { this.path = path; }

        public override AddressFamily AddressFamily { get { return AddressFamily.Unix; } }

        public override SocketAddress Serialize()
        {
            var bytes = Encoding.UTF8.GetBytes(path);
            if (bytes.Length > 107) throw new ArgumentException("tokend: the path of the socket has more than 107 bytes");
            var address = new SocketAddress(AddressFamily.Unix, 2 + bytes.Length + 1);
            for (var i = 0; i < bytes.Length; i++) address[2 + i] = bytes[i];
            address[2 + bytes.Length] = 0;
            return address;
        }

        public override EndPoint Create(SocketAddress address) { return new UnixEndPoint(path); }

        public override string ToString() { return path; }
    }

    struct Deadline
    {
        readonly Stopwatch since;
        readonly TimeSpan limit;

        public Deadline(TimeSpan limit)
        {
            since = Stopwatch.StartNew();
            this.limit = limit;
        }

        public bool Passed { get { return since.Elapsed >= limit; } }

        public TimeSpan Left { get { return Passed ? TimeSpan.Zero : limit - since.Elapsed; } }

        public int LeftMilliseconds { get { return Math.Max(1, (int)Left.TotalMilliseconds); } } // 0 would mean forever
    }

    // ClosedException: the connection was closed before the first byte of a reply.
    sealed class ClosedException : Exception
    {
        public ClosedException(Exception inner) : base("closed", inner) { }
    }

    // Connection belongs to one request at a time.
    sealed class Connection : IDisposable
    {
        readonly Socket socket;
        readonly NetworkStream stream;
        byte[] buffer = new byte[4096];
        int begin, end; // of what was received and not read

        public Connection(Socket socket)
        {
            this.socket = socket;
            stream = new NetworkStream(socket, true);
        }

        public bool ReplyBegun { get; private set; } // since the last Write

        public int Buffered { get { return end - begin; } }

        // IsQuiet reports whether an idle connection is open and has received nothing.
        public bool IsQuiet
        {
            get
            {
                try { return !socket.Poll(0, SelectMode.SelectRead); }
                catch (Exception e) when (e is SocketException || e is ObjectDisposedException) { return false; }
            }
        }

        public void Write(byte[] line, Deadline deadline)
        {
            ReplyBegun = false;
            for (var sent = 0; sent < line.Length;)
            {
                socket.SendTimeout = deadline.LeftMilliseconds;
                sent += socket.Send(line, sent, line.Length - sent, SocketFlags.None);
            }
        }

        public Task WriteAsync(byte[] line)
        {
            ReplyBegun = false;
            return stream.WriteAsync(line, 0, line.Length);
        }

        public string ReadLine(Deadline deadline)
        {
            string line;
            while (!TryCut(out line))
            {
                if (deadline.Passed) throw new SocketException((int)SocketError.TimedOut);
                socket.ReceiveTimeout = deadline.LeftMilliseconds;
                Received(socket.Receive(buffer, end, buffer.Length - end, SocketFlags.None));
            }
            return line;
        }

        public async Task<string> ReadLineAsync()
        {
            string line;
            while (!TryCut(out line))
                Received(await stream.ReadAsync(buffer, end, buffer.Length - end).ConfigureAwait(false));
            return line;
        }

        void Received(int n)
        {
            if (n == 0) throw new EndOfStreamException();
            ReplyBegun = true;
            end += n;
        }

        // TryCut returns the first line that was received, or makes room for more.
        bool TryCut(out string line)
        {
            var i = Array.IndexOf(buffer, (byte)'\n', begin, end - begin);
            if (i >= 0)
            {
                line = Reply.Text(buffer, begin, i - begin);
                begin = i + 1;
                if (begin == end) begin = end = 0;
                if (end == 0 && buffer.Length > 4096) buffer = new byte[4096]; // long lines are rare
                return true;
            }
            line = null;
            if (end - begin >= Request.MaxLine) throw new TokendBadReplyException("a line of more than " + Request.MaxLine + " bytes");
            if (end < buffer.Length) return false;
            var more = begin > 0 ? buffer : new byte[Math.Min(2 * buffer.Length, Request.MaxLine)];
            Buffer.BlockCopy(buffer, begin, more, 0, end - begin);
            buffer = more;
            end -= begin;
            begin = 0;
            return false;
        }

        public void Dispose() { stream.Dispose(); }
    }

    // Request checks the fields of a request, and knows how to parse the reply.
    sealed class Request<T>
    {
        public byte[] Line;
        public bool Once; // must not be sent twice
        public bool Many; // the reply is a count and lines
        public Func<string, List<string>, T> Parse; // of the fields after OK, and all lines
    }

    static class Request
    {
        public const int MaxLine = 65536;
        const int MaxValue = MaxLine / 2, MaxName = 255, MaxSegment = 64, MaxEncrypt = 60 << 10;

        static Request<T> New<T>(Func<string, List<string>, T> parse, params string[] words)
        {
            return new Request<T> { Line = Encoding.UTF8.GetBytes(string.Join(" ", words) + "\n"), Parse = parse };
        }

        public static Request<TokendCredential> Get(string name) { return New(Reply.Credential, "GET", Name(name)); }
        public static Request<TokendCredential> Reject(string name, string value) { return New(Reply.Credential, "REJECT", Name(name), Value(value)); }
        public static Request<TokendCredential> Refresh(string name)
        {
            var request = New(Reply.Credential, "REFRESH", Name(name));
            request.Once = true;
            return request;
        }
        public static Request<bool> Put(string name, string value) { return New(Reply.Nothing, "PUT", Name(name), Value(value)); }
        public static Request<bool> Push(string owner, string msgSignature, string timestamp, string nonce, string encrypt)
        {
            return New(Reply.Nothing, "PUSH", Owner(owner),
                Check("msgSignature", msgSignature, 40, IsHex, 40), Check("timestamp", timestamp, 20, IsDigit),
                Check("nonce", nonce, 128, IsPrintable), Check("encrypt", encrypt, MaxEncrypt, IsBase64));
        }
        public static Request<string> Exchange(string owner, string code)
        {
            var request = New(Reply.Customer, "EXCHANGE", Owner(owner), Check("code", code, MaxValue, IsPrintable));
            request.Once = true;
            return request;
        }
        public static Request<TokendSignature> Sign(string name, string url) { return New(Reply.Signature, "SIGN", Name(name), Url(url)); }
        public static Request<IList<TokendListing>> List(string prefix)
        {
            var request = string.IsNullOrEmpty(prefix) ? New(Reply.Listings, "LIST")
                : New(Reply.Listings, "LIST", Check("prefix", prefix, MaxName, c => IsNameByte(c) || c == '/'));
            request.Many = true;
            return request;
        }
        public static Request<IList<KeyValuePair<string, string>>> Status(string name)
        {
            var request = New(Reply.Pairs, "STATUS", Name(name));
            request.Many = true;
            return request;
        }

        // The checks never show the field: it may be a value in the wrong place.
        static string Check(string field, string text, int most, Func<char, bool> allowed, int least = 1)
        {
            if (text == null) throw new ArgumentNullException(field);
            if (text.Length < least || text.Length > most)
                throw new ArgumentException("tokend: " + field + " must have " + (least == most ? "" : least + " to ") + most + " characters", field);
            for (var i = 0; i < text.Length; i++)
            {
                if (!allowed(text[i])) throw new ArgumentException("tokend: character " + (i + 1) + " of " + field + " is not allowed", field);
            }
            return text;
        }

        static string Name(string name)
        {
            if (!IsPath(Check("name", name, MaxName, c => IsNameByte(c) || c == '/'), 3, 5))
                throw new ArgumentException("tokend: a name is family/owner[/child]/credential, with segments of 1 to 64 characters", "name");
            return name;
        }

        static string Owner(string owner)
        {
            if (!IsPath(Check("owner", owner, MaxName, c => IsNameByte(c) || c == '/'), 2, 2))
                throw new ArgumentException("tokend: an owner is family/owner, with segments of 1 to 64 characters", "owner");
            return owner;
        }

        static string Value(string value) { return Check("value", value, MaxValue, IsPrintable); }

        static string Url(string url)
        {
            Check("url", url, MaxValue, c => c > ' ' && c != '\x7f');
            try
            {
                if (Reply.Utf8.GetByteCount(url) <= MaxValue) return url;
            }
            catch (EncoderFallbackException) { } // half a character
            throw new ArgumentException("tokend: url must be at most " + MaxValue + " bytes of UTF-8", "url");
        }

        public static bool IsPath(string text, int least, int most)
        {
            var segments = text.Split('/');
            return text.Length <= MaxName && segments.Length >= least && segments.Length <= most &&
                segments.All(s => s.Length >= 1 && s.Length <= MaxSegment && s.All(IsNameByte));
        }

        public static bool IsValue(string text) { return text.Length >= 1 && text.Length <= MaxValue && text.All(IsPrintable); }

        static bool IsDigit(char c) { return c >= '0' && c <= '9'; }
        static bool IsLetter(char c) { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'; }
        static bool IsHex(char c) { return IsDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'; }
        static bool IsBase64(char c) { return IsDigit(c) || IsLetter(c) || c == '+' || c == '/' || c == '='; }
        static bool IsNameByte(char c) { return IsDigit(c) || IsLetter(c) || c == '.' || c == '_' || c == '@' || c == '-'; }
        static bool IsPrintable(char c) { return c > ' ' && c < '\x7f'; }
    }

    // Reply parses replies.
    static class Reply
    {
        public static readonly Encoding Utf8 = new UTF8Encoding(false, true);

        static readonly string[] Codes = { "BAD_REQUEST", "NOT_FOUND", "DENIED", "WAITING", "UPSTREAM", "UNAVAILABLE", "LIMITED", "REAUTH", "BUSY", "SHUTDOWN", "INTERNAL" };

        const int MaxCount = 100000000;

        // Text returns a line of printable UTF-8.
        public static string Text(byte[] bytes, int begin, int length)
        {
            string line;
            try { line = Utf8.GetString(bytes, begin, length); }
            catch (DecoderFallbackException) { throw new TokendBadReplyException("not UTF-8"); }
            if (line.Any(c => c < ' ' || c == '\x7f')) throw new TokendBadReplyException("a control character");
            return line;
        }

        // Wants reports whether more lines belong to a reply.
        public static bool Wants(List<string> lines, bool many)
        {
            return many && lines[0].StartsWith("OK ", StringComparison.Ordinal) && lines.Count <= Count(lines[0].Substring(3));
        }

        static int Count(string text)
        {
            var n = Number(text);
            if (n > MaxCount) throw Malformed("OK <n>");
            return (int)n;
        }

        // Fields returns the fields after OK, or the exception of an ERR.
        public static string Fields(string line, out TokendException refusal)
        {
            refusal = null;
            if (line == "OK") return "";
            if (line.StartsWith("OK ", StringComparison.Ordinal) && IsSingleSpaced(line)) return line.Substring(3);
            var f = line.Split(new[] { ' ' }, 4);
            if (f.Length != 4 || f[0] != "ERR" || !f[1].All(c => c >= 'A' && c <= 'Z' || c == '_') || f[1] == "" || f[1].Length > 32 || f[3] == "" || f[3].Trim(' ') != f[3])
                throw Malformed("OK or ERR");
            int? after = null;
            if (f[2] != "-") after = (int)Math.Min(Number(f[2]), int.MaxValue);
            if (Array.IndexOf(Codes, f[1]) >= 0) refusal = new TokendException(f[1], after, "tokend: " + f[1] + ": " + f[3]);
            else refusal = new TokendException(after == null ? "INTERNAL" : "UNAVAILABLE", after, "tokend: " + f[1] + ": " + f[3]);
            return null;
        }

        static bool IsSingleSpaced(string line) { return !line.EndsWith(" ", StringComparison.Ordinal) && line.IndexOf("  ", StringComparison.Ordinal) < 0; }

        static long Number(string text)
        {
            if (text.Length < 1 || text.Length > 18 || text[0] == '0' && text.Length > 1 || text.Any(c => c < '0' || c > '9')) throw Malformed("a number");
            return long.Parse(text, System.Globalization.CultureInfo.InvariantCulture);
        }

        static TimeSpan Seconds(string text)
        {
            var n = Number(text);
            if (n < 1) throw Malformed("a ttl of at least 1");
            return TimeSpan.FromSeconds(Math.Min(n, int.MaxValue));
        }

        static TokendBadReplyException Malformed(string want) { return new TokendBadReplyException("want " + want); }

        public static TokendCredential Credential(string fields, List<string> lines)
        {
            var f = fields.Split(' ');
            if (f.Length != 2 || !Request.IsValue(f[1])) throw Malformed("OK <ttl> <value>");
            return new TokendCredential(f[1], Seconds(f[0]));
        }

        public static bool Nothing(string fields, List<string> lines)
        {
            if (fields != "") throw Malformed("OK");
            return true;
        }

        public static string Customer(string fields, List<string> lines)
        {
            if (!Request.IsPath(fields, 3, 3)) throw Malformed("OK <family>/<owner>/<child>");
            return fields;
        }

        public static TokendSignature Signature(string fields, List<string> lines)
        {
            var f = fields.Split(' ');
            if (f.Length != 3) throw Malformed("OK <timestamp> <nonce> <signature>");
            return new TokendSignature { Timestamp = Number(f[0]), Nonce = f[1], Signature = f[2] };
        }

        public static IList<TokendListing> Listings(string fields, List<string> lines)
        {
            Count(fields);
            return lines.Skip(1).Select(line =>
            {
                var f = line.Split(' ');
                if (f.Length != 3 || !Request.IsPath(f[0], 3, 5) || f[1] == "") throw Malformed("<name> <state> <ttl>");
                return new TokendListing { Name = f[0], State = f[1], Ttl = f[2] == "-" ? (TimeSpan?)null : Seconds(f[2]) };
            }).ToList();
        }

        public static IList<KeyValuePair<string, string>> Pairs(string fields, List<string> lines)
        {
            Count(fields);
            return lines.Skip(1).Select(line =>
            {
                var f = line.Split(new[] { ' ' }, 2);
                if (f.Length != 2 || f[0] == "" || f[1] == "") throw Malformed("<key> <value>");
                return new KeyValuePair<string, string>(f[0], f[1]);
            }).ToList();
        }
    }

    // BegunStream is a body of which a part was read.
    sealed class BegunStream : Stream
    {
        readonly byte[] held;
        readonly int length;
        readonly Stream rest;
        readonly Exception failed; // instead of the rest
        int position;

        public BegunStream(byte[] held, int length, Stream rest, Exception failed)
        {
            this.held = held;
            this.length = length;
            this.rest = rest;
            this.failed = failed;
        }

        int Held(byte[] buffer, int offset, int count)
        {
            var n = Math.Min(count, length - position);
            Buffer.BlockCopy(held, position, buffer, offset, n);
            position += n;
            return n;
        }

        public override int Read(byte[] buffer, int offset, int count)
        {
            if (position < length || count == 0) return Held(buffer, offset, count);
            if (failed != null) throw new IOException(failed.Message, failed);
            return rest.Read(buffer, offset, count);
        }

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellation)
        {
            if (position < length || count == 0) return Task.FromResult(Held(buffer, offset, count));
            if (failed != null) throw new IOException(failed.Message, failed);
            return rest.ReadAsync(buffer, offset, count, cancellation);
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing) rest.Dispose();
            base.Dispose(disposing);
        }

        public override bool CanRead { get { return true; } }
        public override bool CanSeek { get { return false; } }
        public override bool CanWrite { get { return false; } }
        public override long Length { get { throw new NotSupportedException(); } }
        public override long Position { get { throw new NotSupportedException(); } set { throw new NotSupportedException(); } }
        public override void Flush() { }
        public override long Seek(long offset, SeekOrigin origin) { throw new NotSupportedException(); }
        public override void SetLength(long value) { throw new NotSupportedException(); }
        public override void Write(byte[] buffer, int offset, int count) { throw new NotSupportedException(); }
    }

    // Json finds the errcode of an object. netstandard2.0 has no parser of JSON.
    sealed class Json
    {
        const int MaxDepth = 200;

        readonly string text;
        int at;
        int errcode;

        Json(string text) { this.text = text; }

        // Errcode returns the errcode of the object, or 0 if there is none, it is not a whole
        // number, or the text is not exactly one valid object.
        public static int Errcode(byte[] body, int length)
        {
            try
            {
                var json = new Json(Encoding.UTF8.GetString(body, 0, length));
                json.Space();
                json.Object(0);
                json.Space();
                return json.at == json.text.Length ? json.errcode : 0;
            }
            catch (FormatException) { return 0; }
        }

        public static bool IsSpace(int c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

        char Peek { get { return at < text.Length ? text[at] : '\0'; } }

        void Space() { while (IsSpace(Peek)) at++; }

        void Expect(string word)
        {
            if (string.CompareOrdinal(text, at, word, 0, word.Length) != 0) throw new FormatException();
            at += word.Length;
        }

        void Object(int depth)
        {
            Expect("{");
            for (var first = true; ; first = false)
            {
                Space();
                if (first && Peek == '}') break;
                var key = String();
                Space();
                Expect(":");
                Space();
                var begin = at;
                Value(depth + 1);
                if (depth == 0 && key == "errcode" && !int.TryParse(text.Substring(begin, at - begin), System.Globalization.NumberStyles.AllowLeadingSign,
                    System.Globalization.CultureInfo.InvariantCulture, out errcode)) errcode = 0;
                Space();
                if (Peek == '}') break;
                Expect(",");
            }
            at++;
        }

        void Value(int depth)
        {
            if (depth > MaxDepth) throw new FormatException();
            switch (Peek)
            {
                case '{': Object(depth); break;
                case '[': List(depth); break;
                case '"': String(); break;
                case 't': Expect("true"); break;
                case 'f': Expect("false"); break;
                case 'n': Expect("null"); break;
                default: Number(); break;
            }
        }

        void List(int depth)
        {
            Expect("[");
            for (var first = true; ; first = false)
            {
                Space();
                if (first && Peek == ']') break;
                Value(depth + 1);
                Space();
                if (Peek == ']') break;
                Expect(",");
            }
            at++;
        }

        // String returns a string, with its escapes undone.
        string String()
        {
            Expect("\"");
            var result = new StringBuilder();
            while (Peek != '"')
            {
                if (at >= text.Length || Peek < ' ') throw new FormatException();
                if (Peek != '\\')
                {
                    result.Append(text[at++]);
                    continue;
                }
                at++;
                var i = "\"\\/bfnrt".IndexOf(Peek);
                if (i >= 0 && at < text.Length)
                {
                    result.Append("\"\\/\b\f\n\r\t"[i]);
                    at++;
                    continue;
                }
                Expect("u");
                if (at + 4 > text.Length || !text.Substring(at, 4).All(Uri.IsHexDigit)) throw new FormatException();
                result.Append((char)Convert.ToInt32(text.Substring(at, 4), 16));
                at += 4;
            }
            at++;
            return result.ToString();
        }

        void Number()
        {
            if (Peek == '-') at++;
            if (Peek == '0') at++;
            else Digits();
            if (Peek == '.')
            {
                at++;
                Digits();
            }
            if (Peek == 'e' || Peek == 'E')
            {
                at++;
                if (Peek == '+' || Peek == '-') at++;
                Digits();
            }
        }

        void Digits()
        {
            if (Peek < '0' || Peek > '9') throw new FormatException();
            while (Peek >= '0' && Peek <= '9') at++;
        }
    }
}
