package advice

import "tokend/daemon/credential"

// refusals is what to do about refused pushes, by cause.
var refusals = [credential.RefusalCount]both{
	credential.WrongSignature: {
		"not signed with token: compare token with the Token in the console",
		"不是用配置的 Token 签名：请与后台的 Token 核对",
	},
	credential.WrongReceiver: {
		"for another account: the console of that account has the callback address of this one",
		"接收方是其他账号：那个账号的后台填了这里的地址",
	},
	credential.WrongKey: {
		"not encrypted with aes_key: compare aes_key with the EncodingAESKey in the console",
		"不是用配置的 aes_key 加密：请与后台的 EncodingAESKey 核对",
	},
	credential.WrongForm: {
		"malformed: not from WeChat, or changed by a proxy",
		"格式有误：不是微信发来的，或被代理改动过",
	},
	credential.WrongOwner: {
		"the address names no configured platform or suite: compare the address in the console",
		"地址中的平台或套件没有配置：请核对后台填写的地址",
	},
}

// Refusal returns what a cause of refused pushes means, and what to compare. cause is a word of
// [credential.Refusal]. It returns "" for a cause of a later version.
func (l Language) Refusal(cause string) string {
	for why := range credential.RefusalCount {
		if credential.Refusal(why).String() == cause {
			return refusals[why][l]
		}
	}
	return ""
}
