// Package footprint keeps the process small: it decides how much garbage may gather before it is
// collected, and gives back what loading took. It knows nothing of what is in memory.
//
// # How much garbage
//
// Go lets as much garbage gather as there is live data ([debug.SetGCPercent] 100). That is right
// for a small daemon, of some MB. One with a hundred thousand credentials has 80 MB that live for
// hours, and makes little garbage: doubling it would be for nothing. One with a million has 800 MB,
// each collection takes some tenths of a second of a processor, and readers would feel it if it
// came often. So the room for garbage is 8 MiB, or live²/GiB where that is more, and never more
// than live:
//
//	live     room     percent
//	4 MiB    4 MiB    100
//	80 MiB   8 MiB    10
//	800 MiB  625 MiB  78
//
// The square has a reason: what a collection costs grows with live, and how fast garbage comes does
// too, as every credential is refreshed; with room that grows as their product collecting takes the
// same small part of a processor at any size.
//
// While very many are refreshed, after an outage or a start, garbage comes so fast that eight MiB
// of it are a second's. Then there is room for four seconds', up to 32 MiB and three times live,
// until the burst has been over for half a minute: a collection makes reads wait longer for as long
// as it takes, and the hundredth part of all reads is what a p99 is.
//
// # What a burst leaves behind
//
// When a burst has been over for half a minute and the heap holds a quarter more than is in use, the
// garbage is collected and its memory given back. Go would keep most of it: it returns memory only
// down to the size at which the next collection begins, and a quiet daemon does not get there. What
// the section below says of files is done again as well.
//
// While a configuration is loaded there is room for three times live, see [Load].
//
// # What a start leaves behind
//
// Once, when all is loaded, what the start alone needed is let go of: garbage, the pages of tables
// that were read, and those of the program's own file, which the kernel counts as the process's
// although they are the page cache's. Of 25 MB a start touches 13. Some three are needed to answer,
// and whatever else is run comes back as it is run: with ten credentials the process has 6 to 7 MB
// after its start in place of 17, 8 under load, and 15 when it has done everything once (measured
// on Linux 6.18).
//
// GOGC in the environment is an operator's word, and nothing is decided then.
package footprint
