// The shapes of SKIT.FlurlHttpClient.Wechat.Api that docs/csharp.md uses. The methods call WeChat.
using System.Threading;
using System.Threading.Tasks;
using SKIT.FlurlHttpClient.Wechat.Api.Models;

namespace SKIT.FlurlHttpClient.Wechat.Api
{
    public class WechatApiClientOptions
    {
        public string AppId { get; set; }
        public string AppSecret { get; set; }
    }

    public class WechatApiClient
    {
        public WechatApiClient(WechatApiClientOptions options) { }
    }

    public abstract class WechatApiRequest
    {
        public virtual string AccessToken { get; set; }
    }

    public abstract class WechatApiResponse
    {
        public virtual int ErrorCode { get; set; }
        public virtual string ErrorMessage { get; set; }
    }

    public static class WechatApiClientExecuteCgibinUserExtensions
    {
        public static async Task<CgibinUserInfoResponse> ExecuteCgibinUserInfoAsync(this WechatApiClient client, CgibinUserInfoRequest request, CancellationToken cancellationToken = default(CancellationToken))
        {
            return new CgibinUserInfoResponse { ErrorCode = await Wire.Call(request.AccessToken) };
        }
    }
}

namespace SKIT.FlurlHttpClient.Wechat.Api.Models
{
    public class CgibinUserInfoRequest : WechatApiRequest
    {
        public string OpenId { get; set; }
    }

    public class CgibinUserInfoResponse : WechatApiResponse { }
}
