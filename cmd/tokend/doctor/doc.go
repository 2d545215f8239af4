// Package doctor checks everything between the configuration and WeChat, and says how to fix what
// is wrong: files, the socket, the running daemon, the network, the clock, pushes and backups.
//
// It changes nothing. It makes calls to WeChat's API only on request, and then through the daemon,
// which counts them against WeChat's quotas. It knows no command line and no terminal.
package doctor
