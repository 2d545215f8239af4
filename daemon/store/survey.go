package store

import (
	"sync"

	"tokend/daemon/store/journal"
)

// survey is a journal being read while the database is opened: both take their time where there are
// many grants, and nothing is answered before.
type survey struct {
	chosen  int // the sealer that it is read with
	reading sync.WaitGroup

	// The reading's; to be looked at when it is done.
	index   *journal.Index
	scanned *journal.Scanned
	err     error
}

// survey begins to read the journal with the sealer that is chosen. It is ended by end.
func (o *opening) survey() *survey {
	v := &survey{chosen: o.chosen, index: journal.NewIndex()}
	path, aead := o.at.journal(), o.sealer().journal
	b := breather{closing: o.closing}
	v.reading.Go(func() {
		v.scanned, v.err = journal.Scan(path, aead, func(e journal.Entry) error {
			v.index.Add(e)
			return b.breathe()
		})
	})
	return v
}

// open takes the journal into use when it has been read.
func (v *survey) open() (*journal.Journal, journal.Report, error) {
	v.reading.Wait()
	if v.err != nil {
		return nil, journal.Report{}, v.err
	}
	return v.scanned.Open()
}

// end waits for the reading, and gives up what was not taken into use.
func (v *survey) end() {
	v.reading.Wait()
	if v.scanned != nil {
		_ = v.scanned.Close() // it has been read only
	}
}
