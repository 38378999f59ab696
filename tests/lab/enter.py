"""Runs a command inside a machine as the leader of the terminal's session: ^C and a hang-up reach it, and only it.

Arguments: pid of the machine's process 1, then the command. Ends as the command ended.
"""

import fcntl
import os
import signal
import sys
import termios


def main() -> None:
    pid = int(sys.argv[1])
    handle = os.pidfd_open(pid)
    os.setns(
        handle,
        os.CLONE_NEWNS | os.CLONE_NEWPID | os.CLONE_NEWNET | os.CLONE_NEWUTS | os.CLONE_NEWIPC,
    )
    os.close(handle)
    os.chdir("/")
    child = os.fork()
    if not child:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 1)
        # A test run started in the background has these ignored, and so would the command.
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGPIPE, signal.SIGTSTP):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        try:
            os.execvp(sys.argv[2], sys.argv[2:])
        except OSError as error:
            os.write(2, f"{sys.argv[2]}: {error.strerror}\r\n".encode())
            os._exit(127)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, lambda n, _: os.kill(child, n))
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status))


main()
