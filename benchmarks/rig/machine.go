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

// ServerCore and LoadCore are the processors of servers and of the load generator.
const ServerCore, LoadCore = 0, 1

// pinned marks the restarted program, which runs on its processor.
const pinned = "TOKEND_COMPARE_PINNED"

// PinSelf binds this program and its children to the load generator's processor. It restarts the
// program there, since running threads would keep their processors.
func PinSelf() error {
	if os.Getenv(pinned) != "" {
		return nil
	}
	if runtime.NumCPU() < 2 {
		return fmt.Errorf("two processors are needed, for a server and for the load; this machine has %d", runtime.NumCPU())
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

// Affinity binds the calling thread and its children to processors.
func Affinity(cores ...int) error {
	var set unix.CPUSet
	for _, core := range cores {
		set.Set(core)
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("cannot use processors %v: %w", cores, err)
	}
	return nil
}

// first calls start on a thread that runs before all other threads of its processor, as the process
// that start starts will. Other programs then do not delay the generator, whose delay would look
// like one of the server. Only root may do this; others measure with a normal priority.
func first(start func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	normal, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return start()
	}
	if err := unix.SchedSetAttr(0, &unix.SchedAttr{Size: normal.Size, Policy: unix.SCHED_FIFO, Priority: 1}, 0); err != nil {
		return start()
	}
	err = start()
	return errors.Join(err, unix.SchedSetAttr(0, normal, 0))
}

// Gently calls f on a thread with low priority, so that f uses only the processor time that the
// generator leaves.
func Gently(f func()) {
	runtime.LockOSThread()                                             // never unlocked: the thread ends with the goroutine
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), WeChatNice) // raising is always permitted
	f()
}

// WeChatNice is the niceness of our WeChat, which shares the load generator's processor with a
// tenth of the generator's weight. The real WeChat has its own machine, and no read waits for it.
const WeChatNice = 10

// GiveWay gives a low priority to all threads of a process, and to those that they start.
func GiveWay(pid int) error {
	// Twice, for threads that start during the first pass.
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
				return fmt.Errorf("cannot lower the priority of WeChat: %w", err)
			}
		}
	}
	return nil
}

// Machine describes this machine, one line for each property.
func Machine(redis string) []string {
	var u unix.Utsname
	kernel := "an unknown kernel"
	if unix.Uname(&u) == nil {
		kernel = "Linux " + unix.ByteSliceToString(u.Release[:])
	}
	var memory unix.Sysinfo_t
	_ = unix.Sysinfo(&memory) // 0 if it fails
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

// cores returns the number of processors, including those that this program may not use.
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
