// Package page surrounds the code of docs/redis.md.
package page

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	redis "github.com/redis/go-redis/v9"

	"tokend/clientlib/sdktest/pages/run"
)

var (
	ctx = context.Background()
	rdb = redis.NewClient(&redis.Options{Addr: os.Getenv("TOKEND_SOCKET")})

	_ time.Duration // only the blocks use time and errors
	_ = errors.Is
)

// fetch is what such a program has for a missing token.
func fetch(ctx context.Context, appID, secret string) (string, error) {
	var answer struct {
		Token string `json:"access_token"`
		Code  int    `json:"errcode"`
	}
	err := get(ctx, "token?grant_type=client_credential&appid="+appID+"&secret="+secret, &answer)
	if err == nil && answer.Token == "" {
		err = fmt.Errorf("errcode %d", answer.Code)
	}
	return answer.Token, err
}

func useToken(token string) error {
	return run.Use("", func() error {
		if run.Tokend() {
			if got, err := rdb.Get(ctx, run.Official).Result(); err != nil || got != token {
				return fmt.Errorf("the token is not tokend's: %v", err)
			}
		}
		var answer struct {
			Code int `json:"errcode"`
		}
		if err := get(ctx, "get_api_domain_ip?access_token="+token, &answer); err != nil {
			return err
		}
		if answer.Code != 0 {
			return fmt.Errorf("errcode %d", answer.Code)
		}
		return nil
	})
}

func get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.weixin.qq.com/cgi-bin/"+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(into)
}
