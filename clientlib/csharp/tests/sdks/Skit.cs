// The shapes of SKIT.FlurlHttpClient.Wechat.Api that docs/skit.md uses. The methods call WeChat.
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
        internal readonly WechatApiClientOptions Options;

        public WechatApiClient(WechatApiClientOptions options) { Options = options; }
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

    public static class WechatApiClientExecuteCgibinTokenExtensions
    {
        public static async Task<CgibinTokenResponse> ExecuteCgibinTokenAsync(this WechatApiClient client, CgibinTokenRequest request, CancellationToken cancellationToken = default(CancellationToken))
        {
            return new CgibinTokenResponse { AccessToken = await Wire.Fetch(client.Options.AppId, client.Options.AppSecret) };
        }
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

    public class CgibinTokenRequest : WechatApiRequest { }

    public class CgibinTokenResponse : WechatApiResponse
    {
        public string AccessToken { get; set; }
    }
}
