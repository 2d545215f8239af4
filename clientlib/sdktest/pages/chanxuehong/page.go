// Package page surrounds the code of docs/chanxuehong.md.
package page

import (
	"github.com/chanxuehong/wechat/mp/base"
	"github.com/chanxuehong/wechat/mp/core"
	"github.com/chanxuehong/wechat/mp/jssdk"

	"tokend/clientlib"
	"tokend/clientlib/sdktest/pages/run"
)

var _ *clientlib.Tokens

func useClient(client *core.Client) error {
	return run.Use(run.Official, func() error { _, err := base.GetCallbackIP(client); return err })
}

func useTickets(tickets jssdk.TicketServer) error {
	return run.Use("", func() error { _, err := tickets.Ticket(); return err })
}
