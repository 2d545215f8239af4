//go:build linux

package rig

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ServerCore and LoadCore are the processors that servers and the load generator have for
// themselves.
const ServerCore, LoadCore = 0, 1

// pinned says to this program, started again, that it has its processor.
const pinned = "TOKEND_COMPARE_PINNED"

// PinSelf puts this program and what it starts on the load generator's processor: it starts itself
// again there, since threads that run already would stay where they are.
func PinSelf() error {
	if os.Getenv(pinned) != "" {
		return nil
	}
	if runtime.NumCPU() < 2 {
		return fmt.Errorf("two processors are needed, one for a server and one for the load; there is %d", runtime.NumCPU())
	}
	runtime.LockOSThread()
	if err := Affinity(LoadCore); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return unix.Exec(self, os.Args, append(os.Environ(), pinned+"=1"))
}

// Affinity binds the calling thread, and what it starts, to processors.
func Affinity(cores ...int) error {
	var set unix.CPUSet
	for _, core := range cores {
		set.Set(core)
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("processors %v cannot be had: %w", cores, err)
	}
	return nil
}

// Gently calls f on a thread that gives way to the load: what f reads, it reads with what is left of
// the generator's processor.
func Gently(f func()) {
	runtime.LockOSThread()                                             // and never unlocks it: the thread ends with the goroutine
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), WeChatNice) // it can always be raised
	f()
}

// WeChatNice is the niceness of a WeChat of ours: it has the load generator's processor, and a
// tenth of the generator's weight there. The real one has its own, and no read waits for it.
const WeChatNice = 10

// GiveWay has all threads of a process give way to the load, and those that they start.
func GiveWay(pid int) error {
	// Twice, for those that are started meanwhile.
	for range 2 {
		tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		if err != nil {
			return err
		}
		for _, task := range tasks {
			tid, err := strconv.Atoi(task.Name())
			if err != nil {
				return err
			}
			if err := unix.Setpriority(unix.PRIO_PROCESS, tid, WeChatNice); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("WeChat cannot be made to give way to the load: %w", err)
			}
		}
	}
	return nil
}

// Machine describes where this runs, a line for each thing.
func Machine(redis string) []string {
	var u unix.Utsname
	kernel := "an unknown kernel"
	if unix.Uname(&u) == nil {
		kernel = "Linux " + unix.ByteSliceToString(u.Release[:])
	}
	var memory unix.Sysinfo_t
	_ = unix.Sysinfo(&memory) // says 0 where it fails
	lines := []string{
		fmt.Sprintf("machine   %d processors (%s), %d GB", cores(), processor(), (uint64(memory.Totalram)*uint64(memory.Unit)+1<<29)>>30),
		fmt.Sprintf("kernel    %s", kernel),
		fmt.Sprintf("go        %s", runtime.Version()),
	}
	if redis != "" {
		lines = append(lines, "redis     "+firstLine(redis, "--version"))
	}
	if out, err := exec.Command("git", "describe", "--always", "--dirty", "--tags").Output(); err == nil {
		lines = append(lines, "tokend    "+strings.TrimSpace(string(out)))
	}
	return lines
}

// cores counts processors, whether or not this program may use them.
func cores() int {
	found, _ := filepath.Glob("/sys/devices/system/cpu/cpu[0-9]*")
	return max(len(found), runtime.NumCPU())
}

func processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func firstLine(program string, args ...string) string {
	out, err := exec.Command(program, args...).Output()
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}
