package metrics

import (
	"bytes"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"

	"tokend/daemon/survey"
)

// Metrics is what can be scraped of a daemon. Make one with [New]; its methods may be called concurrently.
type Metrics struct {
	look    func() survey.Survey
	process *prometheus.Registry
	descs   descs
}

// New returns the metrics of the daemon that look looks at, once for each scrape, and of the process that this is
// part of.
func New(look func() survey.Survey) *Metrics {
	m := &Metrics{look: look, process: prometheus.NewRegistry()}
	m.process.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Scrape returns all metrics as text, and what its format is called. Its error is a fault: of the metrics that are left,
// none is returned, so that who scrapes sees it.
func (m *Metrics) Scrape() (contentType string, body []byte, err error) {
	// Looked at here and not where the library gathers: that is a goroutine of its own, in which a fault would end
	// the process.
	daemon := prometheus.NewRegistry()
	daemon.MustRegister(collector{m.look(), &m.descs})
	format := expfmt.NewFormat(expfmt.TypeTextPlain)
	var b bytes.Buffer
	encoder := expfmt.NewEncoder(&b, format)
	for _, registry := range []*prometheus.Registry{m.process, daemon} { // which have no name in common
		families, err := registry.Gather()
		if err != nil {
			return "", nil, fmt.Errorf("gather metrics: %w", err)
		}
		for _, family := range families {
			if err := encoder.Encode(family); err != nil {
				return "", nil, fmt.Errorf("encode metrics: %w", err)
			}
		}
	}
	return string(format), b.Bytes(), nil
}
