// Package sandbox is a WeChat at a local port for a person to develop against: some accounts that
// are ready to use, the configuration that makes tokend use them, and a line for each call as it
// comes. The WeChat itself is package wechattest; sandbox knows nothing of its rules, and nothing
// of the daemon but the form of its configuration.
package sandbox
