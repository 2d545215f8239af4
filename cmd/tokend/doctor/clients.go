package doctor

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"syscall"

	"tokend/daemon/permit"
)

// clients reports who may open the socket of other users' programs. Root's commands have a socket
// of their own, which works while the other one does not.
func (d *Doctor) clients() {
	if d.Clients == "" {
		return
	}
	info, err := os.Stat(d.Clients)
	if err == nil {
		var nc net.Conn
		if nc, err = net.DialTimeout("unix", d.Clients, d.timeout()); err == nil {
			_ = nc.Close()
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.fail(exitNoDaemon, "clients", d.Clients, d.say("the file is missing: clients cannot connect"), d.say("run: sudo systemctl restart tokend.socket tokend.service"))
		return
	case err != nil:
		d.fail(exitNoDaemon, "clients", d.Clients, d.say("clients cannot connect: %s", cause(err).Error()), d.say("run: sudo systemctl restart tokend.socket tokend.service"))
		return
	}
	owner := info.Sys().(*syscall.Stat_t) // on every system that tokend is built for
	user, group := permit.UserName(owner.Uid), permit.GroupName(owner.Gid)
	switch mode := info.Mode().Perm(); {
	case mode&0o002 != 0:
		d.ok("clients", d.Clients, d.say("mode %04o: every user may open it", mode))
	case mode&0o020 != 0 && owner.Gid != 0:
		d.ok("clients", d.Clients, d.say("mode %04o: the members of group %s may open it", mode, group))
	default:
		d.warn("clients", d.Clients, d.say("mode %04o, %s:%s: only this user and root may open it", mode, user, group),
			d.say("set another group with SocketGroup= in tokend.socket, or another mode with SocketMode= there or socket_mode in the configuration"))
	}
}

// cause returns the innermost error of err.
func cause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
