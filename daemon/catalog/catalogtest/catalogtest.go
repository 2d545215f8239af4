// Package catalogtest has a configuration of owners that receive pushes, and adds the same owners
// to a fake WeChat. Tests of the catalog and of the daemon use it.
package catalogtest

import "tokend/fetchers/wechattest"

// Keys of the callbacks.
const (
	AESKey1 = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	AESKey2 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefg"
	AESKey3 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
)

// TOML configures a third-party platform, and a provider with two suites and a template.
const TOML = `
[[open_platform]]
app_id = "wxcomponent"
secret = "component-secret"
token = "component-signs"
aes_key = "` + AESKey1 + `"
[[open_work]]
corp_id = "wwprovider"
provider_secret = "provider-secret"
[[open_work.suite]]
suite_id = "wwsuite1"
suite_secret = "suite1-secret"
token = "suite1-signs"
aes_key = "` + AESKey2 + `"
[[open_work.suite]]
suite_id = "wwsuite2"
suite_secret = "suite2-secret"
token = "suite2-signs"
aes_key = "` + AESKey3 + `"
[[open_work.suite]]
suite_id = "dktemplate"
suite_secret = "template-secret"
token = "template-signs"
aes_key = "` + AESKey1 + `"
`

// AddOwners adds to w the platform, the provider and the suites of TOML, which push to callbacks
// below the URL base.
func AddOwners(w *wechattest.WeChat, base string) {
	w.AddPlatform("wxcomponent", "component-secret", "component-signs", AESKey1)
	w.AddProvider("wwprovider", "provider-secret")
	w.AddSuite("wwprovider", "wwsuite1", "suite1-secret", "suite1-signs", AESKey2)
	w.AddSuite("wwprovider", "wwsuite2", "suite2-secret", "suite2-signs", AESKey3)
	w.AddSuite("wwprovider", "dktemplate", "template-secret", "template-signs", AESKey1)
	w.SetCallback("wxcomponent", base+"open_platform/wxcomponent")
	for _, id := range []string{"wwsuite1", "wwsuite2", "dktemplate"} {
		w.SetCallback(id, base+"open_work/"+id)
	}
}
