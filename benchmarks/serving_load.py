"""A load generator for keep-alive HTTP in one process: ``python benchmarks/serving_load.py PORT CONNECTIONS SECONDS``.

Reads the raw request from standard input, sends it over each connection as soon as the last answer is whole, and prints
``{"rate": requests/s, "p50": ms, "p99": ms, "errors": n}``. Used where ``wrk`` is not installed; it costs about 20 us of
processor time a request, the same for both servers.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time

PORT, CONNECTIONS, SECONDS = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])


class Connection:
    """One connection and the request that is on it."""

    def __init__(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", PORT))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.began = 0.0
        self.data = b""

    def send(self, request: bytes) -> None:
        self.began = time.perf_counter()
        self.data = b""
        self.socket.sendall(request)

    def whole(self) -> bool | None:
        """Whether the answer is whole after reading what is there; None when it is an error."""
        self.data += self.socket.recv(1 << 20)
        head = self.data.find(b"\r\n\r\n")
        if head < 0:
            return False
        if not self.data.startswith(b"HTTP/1.1 200"):
            return None
        at = self.data.lower().find(b"content-length:", 0, head)
        if at < 0:
            return self.data.endswith(b"0\r\n\r\n")
        size = int(self.data[at + 15 : self.data.index(b"\r", at)])
        return len(self.data) >= head + 4 + size


def main() -> None:
    request = sys.stdin.buffer.read()
    connections = {each.socket.fileno(): each for each in (Connection() for _ in range(CONNECTIONS))}
    poll = select.epoll()
    for number, each in connections.items():
        poll.register(number, select.EPOLLIN)
        each.send(request)
    times: list[float] = []
    errors = 0
    start = time.perf_counter()
    end = start + SECONDS
    now = start
    while now < end:
        for number, _ in poll.poll(1.0):
            connection = connections[number]
            whole = connection.whole()
            if whole is False:
                continue
            now = time.perf_counter()
            times.append(now - connection.began)
            errors += whole is None
            connection.send(request)
        now = time.perf_counter()
    times.sort()
    count = len(times)
    print(
        json.dumps(
            {
                "rate": count / (now - start),
                "p50": 1000 * times[count // 2],
                "p99": 1000 * times[min(count - 1, int(count * 0.99))],
                "errors": errors,
            }
        )
    )


if __name__ == "__main__":
    main()
