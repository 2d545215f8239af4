// Package descriptors keeps file descriptors of the process free for the daemon itself and for
// operators, whatever number of connections other users open. It knows nothing of the protocol,
// sessions or users.
package descriptors
