"""Loaded by every Python that has this folder on PYTHONPATH: only loopback can be reached.

An attempt to go further raises, and is noted in the file that OFFLINE_GUARD_LOG names, so that
a test sees it even where a library swallows the error.
"""

import ipaddress
import os
import socket

_connect, _connect_ex, _lookup = (
    socket.socket.connect,
    socket.socket.connect_ex,
    socket.getaddrinfo,
)


def _is_loopback(host) -> bool:
    if host in (None, "", "localhost", b"localhost"):
        return True
    try:
        return ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host).is_loopback
    except ValueError:
        return False


def _refuse(host) -> None:
    with open(os.environ["OFFLINE_GUARD_LOG"], "a", encoding="utf-8") as log:
        log.write(f"{host}\n")
    raise OSError(f"The offline guard refuses {host!r}")


def _guarded(original):
    def call(self, address, *rest):
        if isinstance(address, tuple) and not _is_loopback(address[0]):
            _refuse(address[0])
        return original(self, address, *rest)

    return call


def _guarded_lookup(host, *rest, **options):
    if not _is_loopback(host):
        _refuse(host)
    return _lookup(host, *rest, **options)


socket.socket.connect = _guarded(_connect)
socket.socket.connect_ex = _guarded(_connect_ex)
socket.getaddrinfo = _guarded_lookup
