//go:build !race

package epoll

func raceReceived() {}
func raceSending()  {}
