// Package auth has the shape of the package of PowerWeChat v3.2.
package auth

import "github.com/ArtisanCloud/PowerWeChat/v3/src/kernel"

// AccessToken is the token of an official account.
type AccessToken struct {
	*kernel.AccessToken
}
