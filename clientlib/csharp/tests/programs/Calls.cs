using System;
using System.Net.Http;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

// Calls calls WeChat with the static class of docs/programs.md, once for each line of standard input.
// It prints the errcode, or the message of an exception.
static class Calls
{
    // mono sometimes hangs at its end.
    [DllImport("libc")] static extern void _exit(int status);

    static void Main()
    {
        while (Console.ReadLine() != null)
        {
            try { Console.WriteLine(Call()); }
            catch (Exception e) { Console.WriteLine(e.Message.Replace('\n', ' ')); }
        }
        Console.Out.Flush();
        _exit(0);
    }

    static string Call()
    {
        var url = Environment.GetEnvironmentVariable("WECHAT") + "/cgi-bin/get_api_domain_ip?access_token=" + WorkToken.Get();
        var errcode = Regex.Match(WorkToken.Http.GetStringAsync(url).GetAwaiter().GetResult(), "\"errcode\":([0-9]+)").Groups[1].Value;
        return errcode == "" ? "0" : errcode;
    }
}
