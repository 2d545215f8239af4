// Package base has the shape of the package of PowerWeChat v3.2.
package base

import (
	"context"

	"github.com/ArtisanCloud/PowerWeChat/v3/src/kernel"
)

// Client calls the basic APIs.
type Client struct {
	Token *kernel.AccessToken
}

// ResponseGetCallBackIP is an answer.
type ResponseGetCallBackIP struct {
	IPList []string `json:"ip_list"`
}

// GetCallbackIP returns the addresses of WeChat's callbacks.
func (c *Client) GetCallbackIP(ctx context.Context) (*ResponseGetCallBackIP, error) {
	return &ResponseGetCallBackIP{}, c.Token.HttpGet(ctx, "cgi-bin/getcallbackip")
}
