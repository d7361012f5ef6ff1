"""Who may talk to the page: the browser that was given its address, and no page of anybody else."""

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

CLOSED = "Open the address that medrestore serve has printed: it ends in a token, without which nothing is shown."
READING = ("GET", "HEAD")
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
                               "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin", "cross-origin-opener-policy": "same-origin",
}


@dataclass(frozen=True)
class Guard:
    """Answers requests that it lets through by an application, and refuses the others.

    A request is let through when it names this machine as its host, so that no name of elsewhere leads here; when it has the
    token, in a cookie that the address with the token has set; and, where it changes something, when it comes from the page.

    Args:
        app: what answers.
        port: that the server listens on.
        token: the secret of this run.
    """

    app: App
    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @property
    def cookie(self) -> str:
        """The name of the cookie; of its own for each port, which cookies do not tell apart."""
        return f"medrestore-{self.port}"

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _answer(send, *refusal)
        elif scope["path"] == "/" and self._is_token(_token_of(scope)):
            cookie = f"{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Strict"
            await _answer(send, 303, "", {"location": "/", "set-cookie": cookie})
        elif not self._is_token(_cookies(headers).get(self.cookie, "")):
            await _answer(send, 403, CLOSED)
        else:
            await self.app(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope, headers: MutableMapping[str, str]) -> tuple[int, str] | None:
        """Why a request is refused, whatever its token."""
        hosts = [f"{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]")]
        host, origin = headers.get("host", ""), headers.get("origin")
        if host not in hosts:
            return 421, "This page answers to 127.0.0.1 and localhost alone."
        foreign = origin is not None and origin != f"http://{host}"
        if foreign or (scope["method"] not in READING and origin is None):
            return 403, "This request does not come from the page itself."
        return None

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self.token.encode())


def _token_of(scope: Scope) -> str:
    """The token in the address, or nothing."""
    return (parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token") or [""])[0]


def _cookies(headers: MutableMapping[str, str]) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(headers.get("cookie", "")).items()}
    except CookieError:
        return {}


async def _answer(send: Send, status: int, text: str, headers: MutableMapping[str, str] | None = None) -> None:
    """A short answer in plain text."""
    given = HEADERS | {"content-type": "text/plain; charset=utf-8"} | dict(headers or {})
    await send({"type": "http.response.start", "status": status, "headers": _encoded(given)})
    await send({"type": "http.response.body", "body": text.encode()})


def _with_headers(send: Send) -> Send:
    async def sent(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            own = {name.lower() for name, _ in message["headers"]}
            more = {name: value for name, value in HEADERS.items() if name.encode() not in own}
            message = {**message, "headers": [*message["headers"], *_encoded(more)]}
        await send(message)

    return sent


def _encoded(headers: MutableMapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
