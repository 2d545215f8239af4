// Package simulation has tests only: several hosts of one cluster, with the real engine, the real
// protocol and the real fetchers, over an etcd and a WeChat in memory, in virtual time. Faults
// happen to hosts, transactions and calls as a seed decides. After each schedule, and all the time,
// the promises of the cluster are checked.
//
//	go test ./daemon/cluster/simulation -run TestSimulate -schedules 20000
//	go test ./daemon/cluster/simulation -run TestSimulate -seed 4711
//
// A schedule that breaks a promise is shrunk to the events that it takes, and printed as a
// timeline.
package simulation
