// The shapes of Senparc.Weixin that docs/senparc.md uses. The methods call WeChat, with the token of
// the container if they get a registered AppID.
using System;
using System.Collections.Generic;
using System.Threading.Tasks;
using Senparc.Weixin.Entities;
using Senparc.Weixin.Exceptions;

namespace Senparc.Weixin
{
    public enum ReturnCode { 请求成功 = 0, 获取access_token时AppSecret错误或者access_token无效 = 40001, 不合法的access_token = 40014, access_token超时 = 42001 }
}

namespace Senparc.Weixin.Entities
{
    public class WxJsonResult
    {
        public ReturnCode errcode { get; set; }
        public string errmsg { get; set; }
    }
}

namespace Senparc.Weixin.Exceptions
{
    public class ErrorJsonResultException : Exception
    {
        public WxJsonResult JsonResult { get; set; }
        public string Url { get; set; }

        public ErrorJsonResultException(string message, Exception inner, WxJsonResult jsonResult, string url = null) : base(message, inner)
        {
            JsonResult = jsonResult;
            Url = url;
        }
    }
}

namespace Senparc.Weixin.MP.Containers
{
    public static class AccessTokenContainer
    {
        static readonly Dictionary<string, string> secrets = new Dictionary<string, string>();

        public static Task RegisterAsync(string appId, string appSecret, string name = null)
        {
            secrets[appId] = appSecret;
            return Task.FromResult(true);
        }

        internal static Task<string> Token(string accessTokenOrAppId)
        {
            return secrets.TryGetValue(accessTokenOrAppId, out var secret) ? Wire.Fetch(accessTokenOrAppId, secret) : Task.FromResult(accessTokenOrAppId);
        }
    }
}

namespace Senparc.Weixin.MP.AdvancedAPIs
{
    public static class CustomApi
    {
        public static async Task<WxJsonResult> SendTextAsync(string accessTokenOrAppId, string openId, string content, int timeOut = 10000, string kfAccount = "")
        {
            var errcode = await Wire.Call(await Containers.AccessTokenContainer.Token(accessTokenOrAppId));
            var result = new WxJsonResult { errcode = (ReturnCode)errcode };
            if (errcode != 0) throw new ErrorJsonResultException("errcode " + errcode, null, result, "...?access_token=" + accessTokenOrAppId);
            return result;
        }
    }
}
