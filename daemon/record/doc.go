// Package record is what tokend writes to disk: the durable form of a
// credential, a hold, a budget, a grant and a code, each as one versioned record under a table
// and a key. It knows no database, no schedule and no WeChat word.
//
// Every encoding begins with a version byte. A reader refuses a version that it
// does not know ([ErrVersion]) instead of guessing, so a downgrade says what is wrong.
// Integers are varints, texts are length-prefixed, and fields are only ever added
// at the end: an older record then decodes with the zero value for what it lacks.
package record
