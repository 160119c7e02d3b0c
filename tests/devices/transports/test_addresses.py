# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import shlex

import pytest

from edgeq.errors import EdgeqError
from edgeq_devices.transports import LocalTransport, SshTransport, open_transport
from edgeq_devices.transports import adb as adb_module
from edgeq_devices.transports.adb import AdbTransport


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")


@pytest.fixture
def ssh() -> SshTransport:
    return SshTransport.from_url("ssh://pi@board:2222")


@pytest.mark.parametrize(
    ("device", "name"),
    [
        ("local", "local"),
        ("ssh://board", "ssh://board"),
        ("ssh://pi@192.168.1.5:2222", "ssh://pi@192.168.1.5:2222"),
        ("ssh://MyBoard", "ssh://MyBoard"),
        ("ssh://pi@[fe80::1]", "ssh://pi@[fe80::1]"),
        ("ssh://[fe80::1%eth0]:2222", "ssh://[fe80::1%eth0]:2222"),
        ("adb://", "adb://"),
        ("adb://192.168.1.7:5555", "adb://192.168.1.7:5555"),
    ],
)
def test_devices_are_addressed(device: str, name: str) -> None:
    assert open_transport(device).name == name


@pytest.mark.parametrize(
    "device",
    [
        "board",
        "pi@board",
        "http://board",
        "ssh:board",
        "ssh://",
        "ssh://-oProxyCommand=evil",
        "ssh://pi:secret@board",
        "ssh://board:port",
        "ssh://board/path",
        "ssh://bo ard",
        "ssh://board;reboot",
        "ssh://-l@board",
        "adb://-H evil",
        "adb:// ",
    ],
)
def test_other_addresses_are_refused(device: str) -> None:
    with pytest.raises(EdgeqError, match=r"^--device: (unknown device|wrong address), found '"):
        open_transport(device)


def test_every_word_is_quoted_for_the_boards_shell(ssh: SshTransport) -> None:
    argv = ["cat", "a file; rm -rf ~", "$(reboot)"]
    *options, host, command = ssh.command(argv)
    assert shlex.split(command) == argv
    assert (options[-1], host) == ("--", "pi@board")
    assert options[1:3] == ["-p", "2222"]
    assert AdbTransport("emulator-5554").command(argv)[-1] == command


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ssh://MyBoard", ["MyBoard"]),
        ("ssh://pi@[::1]", ["pi@::1"]),
        ("ssh://[::1]:2222", ["-p", "2222", "::1"]),
    ],
)
def test_ssh_is_given_the_host_as_the_user_wrote_it(url: str, words: list[str]) -> None:
    command = SshTransport.from_url(url).command(["true"])
    assert [*command[1 : len(words)], command[-2]] == words


def test_host_keys_are_checked_as_the_user_configured(ssh: SshTransport) -> None:
    assert not any("HostKey" in word for word in ssh.command(["true"]))


@pytest.mark.parametrize(
    ("stderr", "problem", "remedy"),
    [
        ("ssh: Could not resolve hostname board: Name or service not known", "unknown host", "check the name"),
        ("@ REMOTE HOST IDENTIFICATION HAS CHANGED! @\n…", "the host key has changed", "ssh-keygen -R '[board]:2222'"),
        ("Host key verification failed.", "the host key is unknown", "ssh -p 2222 pi@board"),
        ("pi@board: Permission denied (publickey).", "the board refuses the login", "ssh-copy-id -p 2222 pi@board"),
        ("connect to host board port 22: Connection refused", "the board refuses the connection", "start sshd"),
        ("connect to host board port 22: Connection timed out", "the board does not answer", "network"),
        ("kex_exchange_identification: something new", "the connection failed", ""),
        ("", "the connection was lost", "measure again"),
    ],
)  # fmt: skip
def test_failures_of_ssh_are_explained(ssh: SshTransport, stderr: str, problem: str, remedy: str) -> None:
    error = ssh.explain(255, stderr)
    assert error is not None
    assert error.problem == problem
    assert remedy in (error.remedy or "")


def test_an_ssh_that_is_killed_here_has_lost_the_connection(ssh: SshTransport) -> None:
    assert str(ssh.explain(-9, "")) == (
        "ssh://pi@board:2222: the connection was lost, found ssh was ended by signal 9; measure again"
    )


def test_a_failure_of_the_command_is_not_one_of_the_connection(ssh: SshTransport) -> None:
    assert ssh.explain(1, "Permission denied") is None
    assert LocalTransport().explain(255, "") is None
    assert AdbTransport("x").explain(1, "python: not found") is None


@pytest.mark.parametrize(
    ("stderr", "problem"),
    [
        ("error: device unauthorized.", "the device has not authorized this computer"),
        ("error: device offline", "the device is offline"),
        ("error: more than one device/emulator", "several devices are connected"),
        ("error: device 'x' not found", "unknown device"),
        ("error: no devices/emulators found", "unknown device|no device is connected"),
        ("adb: something new", "the connection failed"),
    ],
)
def test_failures_of_adb_are_explained(stderr: str, problem: str) -> None:
    error = AdbTransport("x").explain(1, stderr)
    assert error is not None
    assert error.problem in problem.split("|")


def test_without_adb_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)

    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(adb_module.importlib, "import_module", absent)
    with pytest.raises(EdgeqError, match="adb is not installed; sudo apt install adb"):
        open_transport("adb://")
