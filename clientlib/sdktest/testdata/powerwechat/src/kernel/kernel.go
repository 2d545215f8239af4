// Package kernel has the shape of the package of PowerWeChat v3.2, as far as docs/powerwechat.md
// uses it. It uses and refreshes tokens as that package does.
package kernel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/ArtisanCloud/PowerLibs/v3/object"
)

// AccessToken is the token of an application.
type AccessToken struct {
	AppID, Secret string

	GetCustomToken func(key string, refresh bool) object.HashMap

	own string
}

// GetToken returns the token. Without GetCustomToken it fetches it with the secret.
func (t *AccessToken) GetToken(ctx context.Context, refresh bool) (string, error) {
	if t.GetCustomToken != nil {
		answer := t.GetCustomToken("powerwechat.access_token."+t.AppID, refresh)
		_ = answer["expires_in"].(float64) // panics, as the module does
		return answer["access_token"].(string), nil
	}
	if t.own != "" && !refresh {
		return t.own, nil
	}
	answer := object.HashMap{}
	query := url.Values{"grant_type": {"client_credential"}, "appid": {t.AppID}, "secret": {t.Secret}}
	if err := get(ctx, "cgi-bin/token", query, &answer); err != nil {
		return "", err
	}
	value, ok := answer["access_token"].(string)
	if !ok {
		return "", fmt.Errorf("access_token: errcode %v", answer["errcode"])
	}
	t.own = value
	return value, nil
}

// HttpGet calls an API. If WeChat refuses the token, it refreshes the token and calls again.
func (t *AccessToken) HttpGet(ctx context.Context, path string) error {
	for refreshed := false; ; refreshed = true {
		token, err := t.GetToken(ctx, false)
		if err != nil {
			return err
		}
		var answer struct {
			Code int `json:"errcode"`
		}
		if err := get(ctx, path, url.Values{"access_token": {token}}, &answer); err != nil {
			return err
		}
		if refreshed || !slices.Contains([]int{40001, 40014, 42001}, answer.Code) {
			if answer.Code != 0 {
				return fmt.Errorf("errcode %d", answer.Code)
			}
			return nil
		}
		if _, err := t.GetToken(ctx, true); err != nil {
			return err
		}
	}
}

func get(ctx context.Context, path string, query url.Values, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.weixin.qq.com/"+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}
