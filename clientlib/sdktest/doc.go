// Package sdktest runs SDKs for WeChat with tokend's client, clients of Redis, and the Go code and
// the shell commands of the manual, against tokend and its sandbox. It is a module of its own, so
// that no SDK is a dependency of tokend: make sdks.
//
// The pages of the manual have their surroundings in pages (Go) and in testdata/manual (files for
// shell commands). testdata also has the shapes of two SDKs, PowerWeChat and go-workwx.
package sdktest
