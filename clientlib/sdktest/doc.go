// Package sdktest runs SDKs for WeChat with tokend's client against tokend and its sandbox. It is a
// module of its own, so that the SDKs are no dependencies of tokend: make sdks.
package sdktest
