using System;
using System.Linq;
using System.Net.Http;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using System.Threading.Tasks;

// Wire makes an SDK's calls at the WeChat of the test.
static class Wire
{
    static readonly HttpClient http = new HttpClient();

    public static async Task<int> Call(string token)
    {
        var errcode = Match(await Get("/cgi-bin/get_api_domain_ip?access_token=" + token), "\"errcode\":([0-9]+)");
        return errcode == "" ? 0 : int.Parse(errcode);
    }

    // Fetch is what an SDK does that has a secret.
    public static async Task<string> Fetch(string appId, string secret)
    {
        return Match(await Get("/cgi-bin/token?grant_type=client_credential&appid=" + appId + "&secret=" + secret), "\"access_token\":\"([^\"]+)\"");
    }

    static Task<string> Get(string path) { return http.GetStringAsync(Environment.GetEnvironmentVariable("WECHAT") + path); }

    static string Match(string text, string pattern) { return Regex.Match(text, pattern).Groups[1].Value; }
}

// Run calls the public methods of a block of the manual, and prints their results.
static class Run
{
    // mono sometimes hangs at its end.
    [DllImport("libc")] static extern void _exit(int status);

    static void Main()
    {
        foreach (var type in Assembly.GetExecutingAssembly().GetTypes())
            if (type.Namespace == null && !type.IsNested && type != typeof(Wire) && type != typeof(Run) && !type.IsDefined(typeof(CompilerGeneratedAttribute)))
                foreach (var method in type.GetMethods(BindingFlags.Public | BindingFlags.Static | BindingFlags.DeclaredOnly))
                    if (!method.ContainsGenericParameters)
                        Console.WriteLine(Result(method.Invoke(null, method.GetParameters().Select(p => (object)"text").ToArray())).GetAwaiter().GetResult());
        Console.Out.Flush();
        _exit(0);
    }

    // Result returns a text, a token, or "errcode N".
    static async Task<object> Result(object value)
    {
        if (value is Task task)
        {
            await task;
            value = task.GetType().GetProperty("Result")?.GetValue(task);
        }
        var errcode = value?.GetType().GetProperty("ErrorCode") ?? value?.GetType().GetProperty("errcode");
        return errcode != null ? "errcode " + (int)errcode.GetValue(value) : value is string ? value : "errcode 0"; // errors are exceptions
    }
}
