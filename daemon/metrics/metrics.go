package metrics

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"

	"tokend/daemon/survey"
)

// Metrics is what can be scraped of a daemon. Make one with [New]; its methods may be called
// concurrently.
type Metrics struct {
	look    func(context.Context) survey.Survey
	process *prometheus.Registry
}

// New returns the metrics of the daemon that look looks at, once for each scrape, and of the
// process that this is part of.
func New(look func(context.Context) survey.Survey) *Metrics {
	m := &Metrics{look: look, process: prometheus.NewRegistry()}
	m.process.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// format is the text format, which every version of Prometheus reads.
var format = expfmt.NewFormat(expfmt.TypeTextPlain)

// ContentType is what the format of a scrape is called.
var ContentType = string(format)

// Scrape looks at the daemon, and returns what writes all metrics as text, once. Both errors are
// faults, and the end of ctx is one: what has been written by then is not to be taken for all.
func (m *Metrics) Scrape(ctx context.Context) (write func(io.Writer) error, err error) {
	v := m.look(ctx)
	families, err := m.process.Gather()
	if err != nil {
		return nil, fmt.Errorf("gather metrics: %w", err)
	}
	return func(w io.Writer) error {
		defer v.Rest()
		t := newText(w, v.Rest)
		process := bytes.NewBuffer(t.b)
		encoder := expfmt.NewEncoder(process, format)
		for _, family := range families {
			if err := encoder.Encode(family); err != nil {
				return fmt.Errorf("encode metrics: %w", err)
			}
		}
		t.b = process.Bytes()
		t.survey(&v)
		if err := ctx.Err(); err != nil { // the credentials may not have been all
			return fmt.Errorf("write metrics: %w", err)
		}
		if t.flush(); t.err != nil {
			return fmt.Errorf("write metrics: %w", t.err)
		}
		return nil
	}, nil
}
