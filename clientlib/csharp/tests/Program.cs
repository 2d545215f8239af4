using System;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;
using System.Runtime.InteropServices;

namespace Tokend.Tests
{
    // The tests of Tokend.cs, and the client for the conversations in testdata/conversations:
    //
    //     Tests.exe test STALE_JSON
    //     Tests.exe say SOCKET
    static class Program
    {
        public static string StaleJson;

        // mono sometimes hangs at its end.
        [DllImport("libc")] static extern void _exit(int status);

        static void Main(string[] args)
        {
            var status = args[0] == "say" ? Say(args[1]) : Test(args[1]);
            Console.Out.Flush();
            _exit(status);
        }

        static int Test(string staleJson)
        {
            StaleJson = staleJson;
            var failed = 0;
            foreach (var type in new[] { typeof(ClientTests), typeof(HandlerTests) })
            {
                foreach (var test in type.GetMethods(BindingFlags.Public | BindingFlags.Static))
                {
                    try
                    {
                        test.Invoke(null, null);
                        Console.WriteLine("ok " + test.Name);
                    }
                    catch (TargetInvocationException e)
                    {
                        failed++;
                        Console.WriteLine("FAIL " + test.Name + ": " + e.InnerException);
                    }
                }
            }
            return failed > 0 ? 1 : 0;
        }

        // Say makes the requests on standard input and prints each reply as the daemon must have written
        // it.
        static int Say(string socket)
        {
            using (var tokend = new TokendClient(socket, TimeSpan.FromSeconds(20)))
            {
                for (var line = Console.ReadLine(); line != null; line = Console.ReadLine())
                {
                    string reply;
                    try { reply = "OK" + Ask(tokend, line.Split(' ')); }
                    catch (TokendException e) { reply = "ERR " + e.Code + " " + (e.RetryAfter == null ? "-" : e.RetryAfter.ToString()) + e.Message.Substring(("tokend: " + e.Code + ":").Length); }
                    Console.WriteLine(reply);
                }
            }
            return 0;
        }

        static string Ask(TokendClient tokend, string[] f)
        {
            switch (f[0].ToUpperInvariant())
            {
                case "GET": return Text(tokend.Get(f[1]));
                case "REJECT": return Text(tokend.Reject(f[1], f[2]));
                case "REFRESH": return Text(tokend.RefreshAsync(f[1]).GetAwaiter().GetResult());
                case "PUT": tokend.Put(f[1], f[2]); return "";
                case "PUSH": tokend.Push(f[1], f[2], f[3], f[4], f[5]); return "";
                case "EXCHANGE": return " " + tokend.ExchangeAsync(f[1], f[2]).GetAwaiter().GetResult();
                case "SIGN":
                    var s = tokend.Sign(f[1], f[2]);
                    return " " + s.Timestamp + " " + s.Nonce + " " + s.Signature;
                case "LIST":
                    var list = tokend.List(f.Length > 1 ? f[1] : "");
                    return Lines(list.Select(l => l.Name + " " + l.State + " " + (l.Ttl == null ? "-" : l.Ttl.Value.TotalSeconds.ToString())));
                case "STATUS": return Lines(tokend.Status(f[1]).Select(p => p.Key + " " + p.Value));
            }
            throw new ArgumentException("no method for " + f[0]);
        }

        static string Text(TokendCredential c) { return " " + c.Ttl.TotalSeconds + " " + c.Value; }

        static string Lines(IEnumerable<string> lines)
        {
            var all = lines.ToList();
            return " " + string.Join("\n", new[] { all.Count.ToString() }.Concat(all));
        }
    }

    static class Check
    {
        public static void That(bool ok, string what)
        {
            if (!ok) throw new Exception(what);
        }

        public static void Same<T>(T got, T want, string about)
        {
            That(EqualityComparer<T>.Default.Equals(got, want), about + ": got " + got + ", want " + want);
        }

        // Throws returns the exception of f. Its whole text must not contain a value: values contain "tok-".
        public static E Throws<E>(string about, Action f) where E : Exception
        {
            try { f(); }
            catch (E e)
            {
                That(!e.ToString().Contains("tok-"), about + ": the exception shows a value");
                return e;
            }
            catch (Exception e) { throw new Exception(about + ": got " + e); }
            throw new Exception(about + ": no exception");
        }
    }
}
