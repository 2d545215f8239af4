package store

import (
	"sync"

	"tokend/daemon/store/journal"
)

// survey reads the journal while the database is opened. With many grants both take long, and the
// daemon does not answer before.
type survey struct {
	chosen  int // the sealer used for reading
	reading sync.WaitGroup

	// The fields below are set by the reading and valid after it.
	index   *journal.Index
	scanned *journal.Scanned
	err     error
}

// survey starts reading the journal with the chosen sealer. The caller must call end.
func (o *opening) survey() *survey {
	v := &survey{chosen: o.chosen, index: journal.NewIndex()}
	path, aead := o.at.journal(), o.sealer().journal
	b := yielder{closing: o.closing}
	v.reading.Go(func() {
		v.scanned, v.err = journal.Scan(path, aead, func(e journal.Entry) error {
			v.index.Add(e)
			return b.yield()
		})
	})
	return v
}

// open opens the journal after the reading.
func (v *survey) open() (*journal.Journal, journal.Report, error) {
	v.reading.Wait()
	if v.err != nil {
		return nil, journal.Report{}, v.err
	}
	return v.scanned.Open()
}

// end waits for the reading and releases the journal unless open took it.
func (v *survey) end() {
	v.reading.Wait()
	if v.scanned != nil {
		_ = v.scanned.Close() // it was only read
	}
}
