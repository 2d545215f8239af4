package cluster

import (
	"fmt"
	"slices"
	"testing"
)

// TestRanks checks that the hosts of a cluster have different ranks, that each is the first for its
// share of names, and that a host that leaves changes no order.
func TestRanks(t *testing.T) {
	hosts := []string{"web1", "web2", "web3", "web4", "web5"}
	first := make(map[string]int)
	const names = 3000
	for i := range names {
		name := fmt.Sprintf("official_account/wx%d/access_token", i)
		order := make([]string, len(hosts))
		for _, h := range hosts {
			order[Rank(h, name, hosts)] = h
		}
		if slices.Contains(order, "") {
			t.Fatalf("%s: two hosts have one rank: %q", name, order)
		}
		first[order[0]]++
		if i%20 > 0 {
			continue
		}
		for i, gone := range order {
			left := slices.Delete(slices.Clone(order), i, i+1)
			for rank, h := range left {
				if got := Rank(h, name, left); got != rank {
					t.Fatalf("%s without %s: rank of %s is %d, want %d", name, gone, h, got, rank)
				}
			}
		}
	}
	for _, h := range hosts {
		if n, fair := first[h], names/len(hosts); n < fair*9/10 || n > fair*11/10 {
			t.Errorf("%s is the first for %d of %d names", h, n, names)
		}
	}
	if got := Rank("web1", "n", nil); got != 0 {
		t.Errorf("alone: rank %d", got)
	}
}

// TestRankFrozen checks a rank of the first version. Hosts of different versions must agree.
func TestRankFrozen(t *testing.T) {
	hosts := []string{"web1", "web2", "web3"}
	var got []int
	for _, h := range hosts {
		got = append(got, Rank(h, "official_account/wx1/access_token", hosts))
	}
	if want := []int{0, 1, 2}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
