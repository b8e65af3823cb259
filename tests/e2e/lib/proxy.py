"""A TCP proxy that delays, records, cuts and counts round trips.

A round trip is counted by causality: whatever one side sends after it got something of depth N has depth N (server) or
N + 1 (client); the deepest chain is how many times somebody had to wait for the line."""
import asyncio
import threading
import time


class Connection:
    def __init__(self):
        self.sent, self.received = bytearray(), bytearray()  # by the client; by the server
        self.client_depth = self.server_depth = 0            # of what reached the other side
        self.rounds = 0


class Proxy:
    """delay: seconds each way. cut_after: closes each connection after so many bytes from the server (or from the client:
    cut_after_sent). Both may be changed at any time; `down` refuses new connections by closing them."""

    _CUT = object()

    def __init__(self, port, host="127.0.0.1", delay=0.0):
        self.target = (host, port)
        self.delay = delay
        self.cut_after = self.cut_after_sent = None
        self.down = False
        self.connections = []
        self._writers = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._main, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    def _main(self):
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)

        async def start():
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            self.port = self._server.sockets[0].getsockname()[1]
            self._ready.set()
        self._loop.run_until_complete(start())
        self._loop.run_forever()

    async def _serve(self, reader, writer):
        if self.down:
            writer.close()
            return
        c = Connection()
        self.connections.append(c)
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.close()
            return
        both = (writer, far_writer)
        self._writers.update(both)
        pumps = [asyncio.ensure_future(self._pump(c, reader, far_writer, True)),
                 asyncio.ensure_future(self._pump(c, far_reader, writer, False))]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_EXCEPTION)
        for p in pumps:
            p.cancel()
        for w in both:
            w.close()
            self._writers.discard(w)

    async def _pump(self, c, reader, writer, from_client):
        queue = asyncio.Queue(256)
        sender = asyncio.ensure_future(self._deliver(c, queue, writer, from_client))
        seen = c.sent if from_client else c.received
        try:
            while data := await reader.read(1 << 16):
                limit = self.cut_after_sent if from_client else self.cut_after
                cut = limit is not None and len(seen) + len(data) >= limit
                if cut:
                    data = data[:max(0, limit - len(seen))]
                seen.extend(data)
                depth = c.server_depth + 1 if from_client else c.client_depth
                c.rounds = max(c.rounds, depth)
                await queue.put((time.monotonic() + self.delay, data, depth))
                if cut:
                    await queue.put((0, self._CUT, 0))
                    break
            else:
                await queue.put((time.monotonic() + self.delay, None, 0))
            await sender
        finally:
            sender.cancel()

    async def _deliver(self, c, queue, writer, from_client):
        while True:
            when, data, depth = await queue.get()
            if (wait := when - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            if data is self._CUT:
                raise ConnectionResetError("cut")
            if data is None:
                if writer.can_write_eof():
                    writer.write_eof()
                return
            if from_client:
                c.client_depth = max(c.client_depth, depth)
            else:
                c.server_depth = max(c.server_depth, depth)
            writer.write(data)
            await writer.drain()

    def rounds(self):
        """The longest chain of waiting on any connection so far."""
        return max((c.rounds for c in self.connections), default=0)

    def drop_all(self):
        """Resets every connection now."""
        def drop():
            for w in list(self._writers):
                w.transport.abort()
        self._loop.call_soon_threadsafe(drop)

    def close(self):
        def stop():
            self._server.close()
            for w in list(self._writers):
                w.transport.abort()
            for task in asyncio.all_tasks():
                task.cancel()
            self._loop.call_soon(self._loop.stop)
        self._loop.call_soon_threadsafe(stop)
        self._thread.join(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
