"""Who may talk to the page."""

from collections.abc import Iterator

import pytest

starlette = pytest.importorskip("starlette", reason="the page needs the extra serve")

from starlette.applications import Starlette  # noqa: E402
from starlette.requests import Request  # noqa: E402
from starlette.responses import PlainTextResponse, Response  # noqa: E402
from starlette.routing import Route  # noqa: E402
from starlette.testclient import TestClient  # noqa: E402

from medrestore.serve.guard import CLOSED, HEADERS, Guard  # noqa: E402

BASE = "http://127.0.0.1:8765"


async def answer(request: Request) -> Response:
    return PlainTextResponse("inside")


@pytest.fixture
def guard() -> Guard:
    return Guard(Starlette(routes=[Route("/{rest:path}", answer, methods=["GET", "POST"])]), 8765)


@pytest.fixture
def client(guard: Guard) -> Iterator[TestClient]:
    with TestClient(guard, base_url=BASE, follow_redirects=False) as client:
        yield client


def opened(client: TestClient, guard: Guard) -> None:
    assert client.get(f"/?token={guard.token}").status_code == 303


def test_nothing_is_shown_without_the_token(client: TestClient, guard: Guard) -> None:
    for path in ("/", "/api/about", "/?token=wrong", "/?token=", f"/api/about?token={guard.token}"):
        answer = client.get(path)
        assert answer.status_code == 403 and answer.text == CLOSED
    assert guard.token not in repr(guard) and guard.address == f"{BASE}/?token={guard.token}"


def test_the_address_with_the_token_opens_the_page_and_leaves_the_address(client: TestClient, guard: Guard) -> None:
    answer = client.get(f"/?token={guard.token}")
    assert answer.status_code == 303 and answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and cookie.startswith("medrestore-8765=")
    assert client.get("/").text == "inside"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:80", "127.0.0.1.evil.example:8765", ""])
def test_a_name_of_elsewhere_does_not_lead_here(client: TestClient, guard: Guard, host: str) -> None:
    opened(client, guard)
    assert client.get("/", headers={"host": host}).status_code == 421
    assert client.get("/", headers={"host": "localhost:8765", "cookie": f"{guard.cookie}={guard.token}"}).status_code == 200


@pytest.mark.parametrize(("origin", "status"), [
    (BASE, 200), ("http://evil.example", 403), ("null", 403), ("http://127.0.0.1:1", 403), ("https://127.0.0.1:8765", 403),
    (None, 403),
])
def test_changes_come_from_the_page_alone(client: TestClient, guard: Guard, origin: str | None, status: int) -> None:
    opened(client, guard)
    headers = {} if origin is None else {"origin": origin}
    assert client.post("/api/jobs", headers=headers).status_code == status


def test_a_foreign_page_cannot_read(client: TestClient, guard: Guard) -> None:
    opened(client, guard)
    assert client.get("/", headers={"origin": "http://evil.example"}).status_code == 403
    assert client.get("/", headers={"cookie": f"{guard.cookie}=wrong"}).status_code == 403
    assert client.get("/", headers={"cookie": "=;;="}).status_code == 403


def test_every_answer_forbids_foreign_scripts_and_frames(client: TestClient, guard: Guard) -> None:
    for answer in (client.get("/"), client.get("/", headers={"host": "evil.example"})):
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    opened(client, guard)
    answer = client.get("/")
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert "default-src 'none'" in HEADERS["content-security-policy"] and "unsafe" not in HEADERS["content-security-policy"]


def test_two_runs_have_two_tokens() -> None:
    one, other = (Guard(Starlette(), 8765) for _ in range(2))
    assert one.token != other.token and len(one.token) >= 32
