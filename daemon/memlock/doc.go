// Package memlock keeps keys out of swap space, where a key would outlive the process. It does not
// know what the keys are for.
package memlock
