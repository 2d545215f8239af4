using System;
using System.Net.Http;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using System.Threading.Tasks;

// Wire makes an SDK's call at the WeChat of the test.
static class Wire
{
    static readonly HttpClient http = new HttpClient();

    public static async Task<int> Call(string token)
    {
        var text = await http.GetStringAsync(Environment.GetEnvironmentVariable("WECHAT") + "/cgi-bin/get_api_domain_ip?access_token=" + token);
        var errcode = Regex.Match(text, "\"errcode\":([0-9]+)").Groups[1].Value;
        return errcode == "" ? 0 : int.Parse(errcode);
    }
}

// Page runs one example of docs/csharp.md.
static class Page
{
    // mono sometimes hangs at its end.
    [DllImport("libc")] static extern void _exit(int status);

    static void Main(string[] args)
    {
        switch (args[0])
        {
            case "Official": Show(!Official.Call().GetAwaiter().GetResult().Contains("\"errcode\":4")); break;
            case "SenparcMessages": SenparcMessages.SendText("openid", "text").GetAwaiter().GetResult(); Show(true); break;
            case "SkitUsers": Show(SkitUsers.Get("openid").GetAwaiter().GetResult().ErrorCode == 0); break;
        }
    }

    static void Show(bool accepted)
    {
        Console.Write(accepted ? "accepted" : "refused");
        Console.Out.Flush();
        _exit(0);
    }
}
