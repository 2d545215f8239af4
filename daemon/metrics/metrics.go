package metrics

import (
	"bytes"
	"fmt"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"

	"tokend/daemon/survey"
)

// Metrics is what can be scraped of a daemon. Make one with [New]; its methods may be called
// concurrently.
type Metrics struct {
	look    func() survey.Survey
	process *prometheus.Registry
	size    atomic.Int64 // of the last scrape, in bytes: the next is likely to need as much
}

// New returns the metrics of the daemon that look looks at, once for each scrape, and of the
// process that this is part of.
func New(look func() survey.Survey) *Metrics {
	m := &Metrics{look: look, process: prometheus.NewRegistry()}
	m.process.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// format is the text format, which every version of Prometheus reads.
var format = expfmt.NewFormat(expfmt.TypeTextPlain)

// Scrape returns all metrics as text, which is the caller's, and what its format is called. Its
// error is a fault: of the metrics that are left, none is returned, so that who scrapes sees it.
func (m *Metrics) Scrape() (contentType string, body []byte, err error) {
	v := m.look()
	families, err := m.process.Gather()
	if err != nil {
		return "", nil, fmt.Errorf("gather metrics: %w", err)
	}
	last := int(m.size.Load())
	b := bytes.NewBuffer(make([]byte, 0, last+last/8))
	encoder := expfmt.NewEncoder(b, format)
	for _, family := range families {
		if err := encoder.Encode(family); err != nil {
			return "", nil, fmt.Errorf("encode metrics: %w", err)
		}
	}
	t := text{b: b.Bytes()}
	t.survey(&v)
	if t.err != nil {
		return "", nil, fmt.Errorf("write metrics: %w", t.err)
	}
	m.size.Store(int64(len(t.b)))
	return string(format), t.b, nil
}
