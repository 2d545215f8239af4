// Package alias translates other programs' keys into names of credentials, and values into the form
// that those programs expect. It compiles aliases once, so that a read costs little. It does not
// know where aliases come from, what credentials exist, or who may read them.
//
// A key has literals, placeholders and perhaps a * at its end:
//
//	wx:token:{app_id}    official_account/{app_id}/access_token
//
// A placeholder matches 1 to 64 characters of a name's segment, up to the literal character that
// follows the placeholder. A key is never tried in a second way, so matching takes time in
// proportion to its length.
package alias
