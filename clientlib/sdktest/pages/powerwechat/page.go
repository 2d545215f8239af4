// Package page surrounds the code of docs/powerwechat.md.
package page

import (
	"context"
	"errors"

	"github.com/ArtisanCloud/PowerLibs/v3/object"
	"github.com/ArtisanCloud/PowerWeChat/v3/src/officialAccount"

	"tokend/clientlib"
	"tokend/clientlib/sdktest/pages/run"
)

var (
	ctx    = context.Background()
	client = &clientlib.Client{}

	_ object.HashMap // only the blocks use this package
)

func useApp(app *officialAccount.OfficialAccount) error {
	return run.Use(run.Official, func() error { _, err := app.Base.GetCallbackIP(ctx); return err })
}

func useSignature(signature clientlib.Signature) error {
	return run.Use("", func() error {
		if signature.Timestamp == 0 || signature.Nonce == "" || len(signature.Signature) != 40 {
			return errors.New("the signature is incomplete")
		}
		return nil
	})
}
