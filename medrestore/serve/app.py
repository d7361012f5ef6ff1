"""The routes of the page: its files, the jobs, and their images."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import InputError
from ..settings.documents import read_yaml
from .entry import Entry
from .forms import FORMS, SAMPLE, TRIED, Form, inputs_of, suffix_for
from .jobs import Jobs, Wording
from .words import without_paths

if TYPE_CHECKING:
    from fastapi import FastAPI, Request, Response

PAGE = {"index.html": "text/html", "style.css": "text/css", "main.js": "text/javascript", "api.js": "text/javascript",
        "viewer.js": "text/javascript", "brush.js": "text/javascript", "forms.js": "text/javascript"}
LARGEST_TEXT = 1 << 16  # bytes of what is filled in
MOST_FILES = 4  # of a job
GB = 10**9


class FrontDoor(Wording, Protocol):
    """The command line as the page uses it."""

    def plan(self, kind: str, given: Mapping[str, Any]) -> Any:
        """The plan of a command for options by their names in a config; raises `InputError`."""

    def about(self, kind: str, name: str) -> Mapping[str, Any]:
        """An option: choices, switch, default."""


class TooLarge(InputError):
    """A file is larger than the page takes."""


def make_app(jobs: Jobs, front: FrontDoor, *, priors: Mapping[str, tuple[str, ...]], notice: str,
             max_upload_gb: float) -> "FastAPI":
    """The application; who may call it is not its business.

    Args:
        jobs: does them.
        front: makes plans of what is filled in.
        priors: job to the names of the priors that it offers.
        notice: that stands on the page.
        max_upload_gb: largest file, in 1e9 bytes.
    """
    from fastapi import FastAPI, Request, Response
    from fastapi.responses import FileResponse, JSONResponse

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    about = {"version": version("medrestore"), "notice": notice, "max_upload_gb": max_upload_gb,
             "kinds": {kind: plain_form(form, front, kind, priors[kind]) for kind, form in FORMS.items()}}

    @app.exception_handler(InputError)
    async def refused(request: Request, error: InputError) -> Response:
        return JSONResponse({"error": without_paths(" ".join(str(error).split()))}, 413 if isinstance(error, TooLarge) else 422)

    def entry_of(name: str) -> Entry:
        entry = jobs.get(name)
        if entry is None:
            raise InputError("this job is not there any more; begin another one")
        return entry

    @app.get("/")
    async def index() -> Response:
        return _page_file("index.html")

    @app.get("/page/{name}")
    async def page(name: str) -> Response:
        return _page_file(name) if name in PAGE else Response(status_code=404)

    @app.get("/api/about")
    async def tell() -> Response:
        return JSONResponse(about)

    @app.post("/api/jobs/{kind}")
    async def create(kind: str) -> Response:
        return JSONResponse({"id": jobs.create(kind).id})

    @app.put("/api/jobs/{name}/files/{role}")
    async def upload(name: str, role: str, suffix: str, request: Request) -> Response:
        entry = entry_of(name)
        place = entry.folder / f"{role}{suffix_for(FORMS[entry.kind], role, suffix)}"
        if entry.state != "new" or len(list(entry.folder.iterdir())) >= MOST_FILES:
            raise InputError("this job takes no more files; begin another one")
        await receive_upload(request.stream(), place, int(max_upload_gb * GB), request.headers.get("content-length"))
        return JSONResponse({"bytes": place.stat().st_size})

    @app.post("/api/jobs/{name}/start")
    async def start(name: str, request: Request) -> Response:
        entry = entry_of(name)
        asked = await filled_in(request)
        form = FORMS[entry.kind]
        tried = entry.kind == "recon" and asked.get("sample") is True
        given = form.given(asked["values"], further(asked["more"]))
        plan = front.plan(entry.kind, (dict(TRIED) if tried else {}) | given)
        entry.inputs = {"scan": SAMPLE} if tried else inputs_of(form, entry.folder)
        jobs.start(entry, plan)
        return JSONResponse(entry.plain())

    @app.get("/api/jobs/{name}")
    async def state(name: str) -> Response:
        return JSONResponse(entry_of(name).plain())

    @app.post("/api/jobs/{name}/cancel")
    async def cancel(name: str) -> Response:
        entry = entry_of(name)
        jobs.cancel(entry)
        return JSONResponse(entry.plain())

    @app.delete("/api/jobs/{name}")
    async def remove(name: str) -> Response:
        jobs.remove(entry_of(name))
        return JSONResponse({})

    @app.get("/api/jobs/{name}/views/{number}")
    async def view(name: str, number: int) -> Response:
        entry = entry_of(name)
        if not 0 <= number < len(entry.views):
            return Response(status_code=404)
        return FileResponse(entry.folder / "views" / entry.views[number].name, media_type="application/octet-stream")

    @app.get("/api/jobs/{name}/results.zip")
    async def archive(name: str) -> Response:
        entry = entry_of(name)
        if entry.state != "done":
            return Response(status_code=404)
        return FileResponse(entry.archive, media_type="application/zip", filename=f"medrestore-{entry.kind}.zip")

    @app.get("/api/jobs/{name}/results/{file}")
    async def result(name: str, file: str) -> Response:
        entry = entry_of(name)
        if file not in entry.results():
            return Response(status_code=404)
        return FileResponse(entry.folder / "result" / file, media_type="application/octet-stream", filename=file)

    return app


def plain_form(form: Form, front: FrontDoor, kind: str, priors: tuple[str, ...]) -> dict[str, Any]:
    """A form as the page builds it."""
    fields = []
    for one in form.fields:
        about = dict(front.about(kind, one.name))
        if one.name == "prior":
            about |= {"choices": list(priors)}
        if one.name in form.choices:
            about |= {"choices": list(form.choices[one.name])}
        fields.append({**asdict(one), **about})
    return {"files": {role: list(suffixes) for role, suffixes in form.files.items()}, "fields": fields}


async def receive_upload(stream: AsyncIterator[bytes], place: Path, limit: int, announced: str | None) -> None:
    """Writes a file as it comes; nothing of it is left where it is too large or breaks off.

    Raises:
        TooLarge: it has more bytes than `limit`, or says that it will.
    """
    too_large = TooLarge(f"the file is larger than {limit / GB:g} GB, the most that is taken; "
                         "start the page with a larger `max_upload_gb`, or use the command line")
    if announced is not None and announced.isdecimal() and int(announced) > limit:
        raise too_large
    size = 0
    try:
        with place.open("wb") as file:
            async for part in stream:
                size += len(part)
                if size > limit:
                    raise too_large
                file.write(part)
    except BaseException:
        place.unlink(missing_ok=True)
        raise


async def filled_in(request: "Request") -> dict[str, Any]:
    """What was filled in: `values` by name, and `more` as text.

    Raises:
        InputError: it is something else.
    """
    import json

    text = b""
    async for part in request.stream():
        text += part
        if len(text) > LARGEST_TEXT:
            raise TooLarge("what was filled in is too long; shorten it")
    try:
        asked = json.loads(text)
        values, more = asked["values"], asked["more"]
    except (ValueError, KeyError, TypeError, RecursionError):
        values, more, asked = None, None, {}
    if not isinstance(values, dict) or not isinstance(more, str):
        raise InputError("what was filled in cannot be read; reload the page")
    return {"values": values, "more": more, "sample": asked.get("sample")}


def further(text: str) -> Mapping[str, Any]:
    """Options that were typed, a line each, as in a config.

    Raises:
        InputError: they are no YAML of options.
    """
    given = read_yaml(text, "the further options")
    if given is None:
        return {}
    if not isinstance(given, dict) or not all(isinstance(name, str) for name in given):
        raise InputError("the further options are no options; write lines such as steps: 25")
    return given


def _page_file(name: str) -> "Response":
    from fastapi import Response

    data = (files("medrestore.serve") / "page" / name).read_bytes()
    return Response(data, media_type=f"{PAGE[name]}; charset=utf-8")


