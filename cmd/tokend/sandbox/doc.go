// Package sandbox is a WeChat at a local port for developers: accounts that are ready to use, a
// configuration for tokend, and a line of output for each call. The WeChat itself is package
// wechattest. Package sandbox does not know WeChat's rules. Of the daemon it knows only the form of
// the configuration.
package sandbox
