// Package footprint limits the memory of the process. It sets the garbage collector's target, and
// returns memory to the operating system after a start and after a burst. It does not know what the
// memory contains.
//
// # Garbage collection
//
// By default Go allows as much garbage as live data ([debug.SetGCPercent] 100). That is right for a
// small daemon of a few MB. A daemon with 100 000 credentials has 80 MB of long-lived data and
// makes little garbage, so the default would double its memory for no gain. A daemon with a million
// has 800 MB. Each collection takes some tenths of a second of processor time, so frequent
// collections would delay readers. Therefore the headroom for garbage is 8 MiB, or live²/GiB if
// that is more, and at most live:
//
//	live     headroom percent
//	4 MiB    4 MiB    100
//	80 MiB   8 MiB    10
//	800 MiB  625 MiB  78
//
// The headroom grows with the square because both the cost of a collection and the rate of garbage
// grow with live. So collections take the same small part of a processor at any size.
//
// While very many credentials are refreshed, after an outage or a start, 8 MiB of garbage
// accumulate in a second. The headroom is then 1 s of garbage, up to 32 MiB and three times live,
// until the burst has been over for 30 s. Reads take longer during a collection. If collections
// took 1 % of the time, they would determine the p99.
//
// # After a burst
//
// A burst may leave a heap that is a quarter larger than the live data. 30 s after the burst the
// package collects the garbage and returns the memory. Go would keep most of the memory: it returns
// memory only down to the size at which the next collection begins, which a quiet daemon does not
// reach. The package also releases files' pages again, as after a start.
//
// While a configuration is loaded, the headroom is three times live, see [Load].
//
// # After a start
//
// Once everything is loaded, the package releases what only the start needed: garbage, pages of the
// database's tables, and pages of the program's own file. The kernel counts file pages as the
// process's memory although they are in the page cache. A start touches 13 of the program's 25 MB.
// Serving needs about 3 MB, and other pages return when they are used. With ten credentials the
// process has 6 to 7 MB after its start instead of 17 MB, 8 MB under load, and 15 MB after it has
// done everything once (measured on Linux 6.18).
//
// If the operator sets GOGC in the environment, the package changes nothing.
package footprint
