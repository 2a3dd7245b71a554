"""The application's HTTP server: its bounds, and its answer to what is no HTTP.

aiohttp answers a request that can't be parsed before there is an application to ask, in plain text
and under its own name and version; `Runner` has it say the same as a problem document.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import Any, Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from handlers.problems import problem_response
from realtime.errors import CartroomError
from server.headers import API_POLICY, EVERYWHERE
from server.metrics import HTTP_METRICS, HttpMetrics

LINE_BYTES_MAX: Final = 8_190
"""The request line."""
HEADER_BYTES_MAX: Final = 8_190
"""One header, name and value."""
HEADERS_MAX: Final = 100
IDLE_S: Final = 75.0
"""From the connection's beginning, or the last answer, until a request's head is complete."""
LINGERING_S: Final = 5.0
"""How long the rest of a body that was refused is read, so that its sender gets to the answer."""

log = logging.getLogger(__name__)


def handler_args() -> dict[str, Any]:
    """The bounds, as `web.Application` wants them."""
    return {
        "max_line_size": LINE_BYTES_MAX,
        "max_field_size": HEADER_BYTES_MAX,
        "max_headers": HEADERS_MAX,
        "keepalive_timeout": IDLE_S,
        "lingering_time": LINGERING_S,
    }


class _Connection(RequestHandler):
    __slots__ = ("_metrics",)

    def __init__(self, *args: Any, metrics: HttpMetrics, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._metrics = metrics

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What a client is told whose request never got to the application."""
        if status >= 500:
            log.error("A request failed outside of the application", exc_info=exc)
            error = CartroomError("internal", "A fault of ours; it has been logged")
        else:
            # Anybody can cause as many as they like, so it is counted, and no line in the log.
            self._metrics.unreadable.inc()
            error = CartroomError("bad_request", "This is no HTTP request, or exceeds our limits")
        if request.writer.output_size > 0:
            raise ConnectionError("An answer is on its way already")
        response = problem_response(error, status)
        response.headers.update(EVERYWHERE)
        response.headers["X-Request-ID"] = secrets.token_hex(8)
        response.headers["Cache-Control"] = "no-store"
        response.headers["Content-Security-Policy"] = API_POLICY
        response.force_close()
        return response


class _Server(web.Server):
    def __init__(self, server: web.Server, metrics: HttpMetrics) -> None:
        super().__init__(
            server.request_handler,
            request_factory=server.request_factory,
            handler_cancellation=server.handler_cancellation,
            loop=asyncio.get_running_loop(),
            **server._kwargs,
        )
        self._metrics = metrics

    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, metrics=self._metrics, **self._kwargs)


class Runner(web.AppRunner):
    """Runs an application of `create_app`."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        return _Server(server, self.app[HTTP_METRICS])
