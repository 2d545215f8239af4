// The shapes of Senparc.Weixin that docs/csharp.md uses. The methods call WeChat.
using System;
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

namespace Senparc.Weixin.MP.AdvancedAPIs
{
    public static class CustomApi
    {
        public static async Task<WxJsonResult> SendTextAsync(string accessTokenOrAppId, string openId, string content, int timeOut = 10000, string kfAccount = "")
        {
            var errcode = await Wire.Call(accessTokenOrAppId);
            var result = new WxJsonResult { errcode = (ReturnCode)errcode };
            if (errcode != 0) throw new ErrorJsonResultException("errcode " + errcode, null, result, "...?access_token=" + accessTokenOrAppId);
            return result;
        }
    }
}
