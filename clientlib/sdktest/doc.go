// Package sdktest runs SDKs for WeChat with tokend's client, and clients of Redis, against tokend
// and its sandbox. It is a module of its own, so that none of them is a dependency of tokend: make
// sdks.
package sdktest
