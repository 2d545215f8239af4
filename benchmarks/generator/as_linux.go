package generator

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// dial connects without waiting for the result.
func (l *loop) dial(i int32) (fd int, err error) {
	dial := func() error {
		var errno unix.Errno
		switch fd, errno = l.poll.dial(); errno {
		case 0:
			return nil
		case errBacklog:
			return errBacklog
		default:
			return fmt.Errorf("%w: %w", ErrConnect, errno)
		}
	}
	if n := len(l.plan.As); n > 0 {
		return fd, as(l.plan.As[int(i)%n], dial)
	}
	return fd, dial()
}

// as calls connect as the user uid: the server sees that user as the peer. Only the calling thread
// changes its user, only in effect, and only during the call. It must be root.
func as(uid uint32, connect func() error) (err error) {
	runtime.LockOSThread()
	if err := become(uid); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer func() {
		if back := become(0); back != nil { // the thread ends with the goroutine and is not reused
			err = back
			return
		}
		runtime.UnlockOSThread()
	}()
	return connect()
}

// become sets the effective user of the calling thread.
func become(uid uint32) error {
	const same = ^uintptr(0)
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, same, uintptr(uid), same); errno != 0 {
		return fmt.Errorf("setresuid(%d): %w", uid, errno)
	}
	return nil
}
