//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"tokend/benchmarks/rig"
)

// openLoop returns the flags of an open loop with 20 000 requests per second.
func openLoop(seconds int) []string {
	return []string{"--connections", "50", "--rate", "20000", "--warm-up", "1s", "--timeout", "30s", "--seconds", fmt.Sprint(seconds)}
}

// tokenPath is the path of calls that refresh customers' tokens.
const tokenPath = "/cgi-bin/component/api_authorizer_token"

// million compares the latency of reads with many and with few credentials. Their expiry times are
// spread so that some refreshes are always due, ten minutes before expiry, and no value expires
// during the measurement.
func (c *comparison) million(ctx context.Context) error {
	large := rig.Pick(&c.Rig, 1_000_000, 100_000)
	var servers [2]*rig.Process
	var states [2]*rig.State
	var calls [2]int64
	for i, n := range []int{10_000, large} {
		address, err := rig.FreeAddress()
		if err != nil {
			return err
		}
		s, err := c.NewState(ctx, fmt.Sprintf("many%d", n), n, address, "-due", "9m", "-over", "100m")
		if err != nil {
			return err
		}
		defer s.Close()
		states[i] = s
		if servers[i], err = c.Serve(s); err != nil {
			return err
		}
		defer servers[i].Stop()
	}
	time.Sleep(settle)
	if !c.Quick { // with -quick, the memory part has as many
		private, _ := servers[1].Memory()
		c.data.Credentials = append(c.data.Credentials, cost{"tokend", large, float64(private), ms(servers[1].Took)})
	}
	var ratios, few, many, ratios999 []float64
	for range rig.Pick(&c.Rig, 3, 2) {
		var got [2]rig.Shot
		for i := range servers {
			before := upstreamCalls(servers[i].Socket)
			var err error
			if got[i], err = c.Shoot(ctx, servers[i], states[i], "tokend", openLoop(rig.Pick(&c.Rig, 8, 4))...); err != nil {
				return err
			}
			calls[i] += upstreamCalls(servers[i].Socket) - before
		}
		few, many = append(few, got[0].P99), append(many, got[1].P99)
		ratios, ratios999 = append(ratios, got[1].P99/got[0].P99), append(ratios999, got[1].P999/got[0].P999)
	}
	c.Rows.AtMost(fmt.Sprintf("p99 with %d credentials against 10000", large), rig.Median(ratios), 2, 1.2, "x",
		fmt.Sprintf("20 000/s, open loop: %.0f us against %.0f us; p99.9 %.2fx; %d and %d refreshes", rig.Median(many), rig.Median(few), rig.Median(ratios999), calls[1], calls[0]))
	return nil
}

// upstreamCalls returns the number of a daemon's calls for customers' tokens, or 0 if it is
// unknown.
func upstreamCalls(socket string) (n int64) {
	nc, err := net.Dial("unix", socket)
	if err != nil {
		return 0
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := nc.Write([]byte("STATS\nQUIT\n")); err != nil {
		return 0
	}
	for lines := bufio.NewScanner(nc); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "calls:"+tokenPath+" "); ok {
			n, _ = strconv.ParseInt(text, 10, 64)
		}
	}
	return n
}
