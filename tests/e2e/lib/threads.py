"""A server in threads, for those that the tests write themselves: one for each connection, all ended by close()."""
import socket
import threading


class Server:
    """Listens on a port of loopback at once. A subclass has serve(s, number), which talks on socket s until it returns
    (EOFError and ValueError count as an end, OSError too); it calls Server.__init__ when it is ready."""

    def __init__(self):
        self.connections = 0  # ever; each has its number, from 1
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self.open = set()     # sockets
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        # A close alone would leave the accepting thread inside accept().
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.drop_all()

    def drop_all(self):
        for s in list(self.open):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
                number = self.connections
            self.open.add(s)
            threading.Thread(target=self._serve, args=(s, number), daemon=True).start()

    def _serve(self, s, number):
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.serve(s, number)
        except (OSError, EOFError, ValueError):
            pass
        finally:
            with self.lock:
                self.at_once -= 1
            self.open.discard(s)
            s.close()
