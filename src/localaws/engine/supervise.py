"""Run one command and see to it that nothing of it outlives the server.

Try it:  python -I -S src/localaws/engine/supervise.py 0 1 - echo hello
Started by the process engine as a program of its own, with nothing but built-in modules, because it must
start in milliseconds. It adopts what its command leaves behind (a notebook's kernel makes a session of its
own, so a process group is not enough), and kills all of it when the command ends or when the server's end
of the control pipe closes, which also happens when the server is killed.

Arguments: control file descriptor, status file descriptor, cgroup folder or -, the command.
Control: each byte read is the number of a signal for the command. Status: lines `started PID`, `failed TEXT`,
`exit CODE`, `signal NUMBER`.
"""

# ruff: noqa: PTH106, PTH112, PTH208
# pathlib would double the time that this takes to start.
import os
import select
import signal
import sys

SET_PARENT_DEATH_SIGNAL = 1  # prctl(2)
SET_CHILD_SUBREAPER = 36


def _prctl(option, value):
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _say(status, text):
    try:
        os.write(status, text.encode(errors="replace") + b"\n")
    except OSError:
        os.close(status)  # the server is gone, and nobody else asks


def _become(command, cgroup, report, supervisor):
    """Turn this new process into the command; writes why not to `report`."""
    try:
        os.setsid()
        if os.isatty(0):  # a shell's: Ctrl-C, job control and its size need it to be the controlling one
            import fcntl
            import termios

            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        _prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != supervisor:
            os._exit(128 + signal.SIGKILL)
        if cgroup != "-":
            with open(cgroup + "/cgroup.procs", "w") as processes:
                processes.write("0")
        for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execvpe(command[0], command, os.environ)
    except OSError as error:
        os.write(report, f"{command[0]}: {error.strerror}".encode(errors="replace"))
    finally:
        os._exit(127)


def _children():
    """Processes whose parent is this one."""
    mine = str(os.getpid())
    if not os.path.isdir("/proc/self"):
        return []
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as stat:
                    # The name is in parentheses and may hold anything; the parent is the second field after
                    # it.
                    if stat.read().rpartition(")")[2].split()[1] == mine:
                        found.append(int(entry))
            except (OSError, IndexError):
                continue  # it ended while we looked
    return found


def _kill(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _end_all(main):
    """Kill and reap whatever is left; an orphan becomes ours, so looking again finds it."""
    if sys.platform != "linux":
        try:
            os.killpg(main, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return  # the group is empty already, and nothing else can be found here
    while True:
        for pid in _children():
            _kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _reap(main):
    """Collect what ended; the command's own status if it is among it."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        if pid == 0:
            return None
        if pid == main:
            return status


def _attend(control, wake, main):
    """Pass signals on until the command ends; its wait status, or None when the server is gone."""
    while True:
        ready, _, _ = select.select([control, wake], [], [])
        if wake in ready:
            os.read(wake, 512)
            status = _reap(main)
            if status is not None:
                return status
        if control in ready:
            numbers = os.read(control, 64)
            if not numbers:
                return None
            for number in numbers:
                _kill(main, number)


def _forget(cgroup):
    """Remove the cgroup that the server can no longer remove."""
    if cgroup != "-":
        try:
            os.rmdir(cgroup)
        except OSError:
            return


def main(arguments):
    control, status, cgroup, command = int(arguments[0]), int(arguments[1]), arguments[2], arguments[3:]
    os.set_inheritable(control, False)
    os.set_inheritable(status, False)
    _prctl(SET_CHILD_SUBREAPER, 1)
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    report_read, report_write = os.pipe()
    supervisor = os.getpid()
    main_pid = os.fork()
    if main_pid == 0:
        _become(command, cgroup, report_write, supervisor)
    os.close(report_write)
    problem = os.read(report_read, 4096).decode(errors="replace")
    if problem:
        _end_all(main_pid)
        return _say(status, f"failed {problem}")
    _say(status, f"started {main_pid}")
    ended = _attend(control, wake, main_pid)
    _end_all(main_pid)
    if ended is None:
        return _forget(cgroup)
    if os.WIFSIGNALED(ended):
        return _say(status, f"signal {os.WTERMSIG(ended)}")
    return _say(status, f"exit {os.WEXITSTATUS(ended)}")


if __name__ == "__main__":
    main(sys.argv[1:])
