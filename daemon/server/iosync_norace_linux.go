//go:build !race

package server

func raceReceived() {}
func raceSending()  {}
