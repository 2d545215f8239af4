using System;
using System.Collections.Generic;
using System.IO;
using System.Net.Sockets;
using System.Text;
using System.Threading;

namespace Tokend.Tests
{
    // Conversation is one connection to a Fake.
    sealed class Conversation
    {
        readonly NetworkStream stream;
        readonly StreamReader reader;
        readonly Fake fake;
        public readonly int Number; // of the connection, from 1

        public Conversation(Fake fake, Socket socket, int number)
        {
            this.fake = fake;
            Number = number;
            stream = new NetworkStream(socket, true);
            reader = new StreamReader(stream);
        }

        // Read returns a request, or null at the end.
        public string Read()
        {
            string line;
            try { line = reader.ReadLine(); }
            catch (IOException) { return null; } // reset
            if (line != null) lock (fake.Requests) fake.Requests.Add(line);
            return line;
        }

        public void Write(string text)
        {
            var bytes = Encoding.UTF8.GetBytes(text);
            try { stream.Write(bytes, 0, bytes.Length); }
            catch (IOException) { } // the client has gone
        }

        public void Close() { stream.Dispose(); }
    }

    // Fake is a daemon that behaves as a test says.
    sealed class Fake : IDisposable
    {
        public readonly string Path = System.IO.Path.Combine(System.IO.Path.GetTempPath(), "tokend-" + Guid.NewGuid().ToString("N").Substring(0, 12));
        public readonly List<string> Requests = new List<string>();
        readonly Socket listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        readonly Thread accepting;
        volatile bool stopped;
        int connections;

        public int Connections { get { return connections; } }

        // serve runs for each connection, which is closed afterwards.
        public Fake(Action<Conversation> serve)
        {
            listener.Bind(new UnixEndPoint(Path));
            listener.Listen(128);
            accepting = new Thread(() =>
            {
                // mono sometimes hangs when a socket is disposed while a thread accepts.
                while (!stopped)
                {
                    if (!listener.Poll(5000, SelectMode.SelectRead)) continue;
                    var socket = listener.Accept();
                    var conversation = new Conversation(this, socket, Interlocked.Increment(ref connections));
                    new Thread(() => { try { serve(conversation); } finally { conversation.Close(); } }) { IsBackground = true }.Start();
                }
                listener.Dispose();
            }) { IsBackground = true };
            accepting.Start();
        }

        // Answering answers each request. null closes the connection.
        public static Fake Answering(Func<string, string> answer)
        {
            return new Fake(c =>
            {
                for (var line = c.Read(); line != null; line = c.Read())
                {
                    var reply = answer(line);
                    if (reply == null) return;
                    c.Write(reply);
                }
            });
        }

        // Tokens has one token, tok-01, and after its rejection tok-02.
        public static Fake Tokens() { return Answering(line => line.StartsWith("REJECT") ? "OK 7200 tok-02\n" : "OK 7200 tok-01\n"); }

        public int Count(string verb) { lock (Requests) return Requests.FindAll(r => r.StartsWith(verb + " ")).Count; }

        public void Dispose()
        {
            stopped = true;
            accepting.Join();
            File.Delete(Path);
        }
    }
}
