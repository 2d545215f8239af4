// Package catalog turns a configuration into credentials: which names exist, how each value is
// fetched, which grants the configuration contains, and which owners WeChat pushes to. It also
// selects the hosts of WeChat and WeCom, and counts the calls to them.
//
// Customers of platforms and suites are not listed one by one. Any well-formed name of a customer
// has a [refresh.Spec]; a stored grant tells whether the customer exists.
//
// A [Catalog] is immutable. A reload replaces it. The package does not know sockets or the store.
package catalog
