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

// Metrics writes the metrics of a daemon and its process. Make one with [New]. Its methods may be
// called concurrently.
type Metrics struct {
	look    func(context.Context) survey.Survey
	process *prometheus.Registry
}

// New returns Metrics that call look for a survey of the daemon, once per scrape.
func New(look func(context.Context) survey.Survey) *Metrics {
	m := &Metrics{look: look, process: prometheus.NewRegistry()}
	m.process.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// format is the text format, which every version of Prometheus can read.
var format = expfmt.NewFormat(expfmt.TypeTextPlain)

// ContentType is the MIME type of a scrape.
var ContentType = string(format)

// Scrape makes a survey of the daemon, and returns a function that writes all metrics as text. The
// function must be called once. If it returns an error, which includes the end of ctx, the output
// is incomplete.
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
		if err := ctx.Err(); err != nil { // the walks may have ended early
			return fmt.Errorf("write metrics: %w", err)
		}
		if t.flush(); t.err != nil {
			return fmt.Errorf("write metrics: %w", t.err)
		}
		return nil
	}, nil
}
