// Package record defines the durable form of credentials, holds, budgets, grants and authorization
// codes. Each is one versioned record under a table and a key. The package does not know a
// database, a schedule or WeChat's API.
//
// Every encoding begins with a version byte. A decoder rejects an unknown version with
// [ErrVersion], so a downgrade reports the cause. No version is 0xff, because the store begins the
// values that have a revision with it. Integers are varints and texts are
// length-prefixed. New fields are only added at the end. In an older record the missing fields
// decode as zero.
package record
