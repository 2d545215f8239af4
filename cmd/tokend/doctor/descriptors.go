package doctor

// descriptors reports whether the daemon may open enough files for its connections.
func (d *Doctor) descriptors() {
	pid := d.process()
	limit, have, ok := openFiles(pid)
	if pid == 0 || !ok {
		d.skip("descriptors", "", d.say("the daemon's process is not visible to this user"))
		return
	}
	text := d.say("at most %d", limit)
	if have >= 0 {
		text = d.say("%d of at most %d", have, limit)
	}
	remedy := d.say("raise LimitNOFILE= in the unit: sudo systemctl edit tokend")
	switch {
	case have > limit*9/10:
		d.fail(exitFailed, "descriptors", "", text, remedy)
	case d.Config != nil && limit-limit/4 < d.Config.Limits.MaxConnections:
		// The daemon keeps a quarter for itself.
		d.warn("descriptors", "", text+d.say(": too few for max_connections = %d", d.Config.Limits.MaxConnections), remedy)
	default:
		d.ok("descriptors", "", text)
	}
}
