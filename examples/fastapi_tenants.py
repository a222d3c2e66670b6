"""A FastAPI service whose tenants are told apart in every span, streams and background tasks too.

    pip install spanwise fastapi httpx
    python examples/fastapi_tenants.py [FOLDER]

A middleware says for whom each request is, once. Whatever runs for that request carries it:
coroutines, worker threads, streamed answers, background tasks. Users of two accounts ask at the
same time, within this process: nothing listens, and nothing is sent. At the end it prints the
latest traces of each account.
"""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import httpx
from fastapi import BackgroundTasks, Depends, FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

import spanwise


@dataclass(frozen=True)
class Caller:
    """Who may ask, and for which account."""

    account: str
    user: str


# What a real service would look up: whose key it is that a request comes with.
CALLERS = {
    "key-of-jane": Caller("ACME", "jane@acme.com"),
    "key-of-june": Caller("ACME", "june@acme.com"),
    "key-of-lee": Caller("Globex", "lee@globex.com"),
}
NOTES: dict[str, list[str]] = defaultdict(list)


class IdentifyCaller:
    """Says who a request is for, around everything that runs for it.

    It wraps the whole call of the application. So a streamed answer and the background tasks are
    inside, which begin when the endpoint has returned. What begins before it, such as a server's
    own span of the request, is above it: that span says nothing of the caller, but its trace does.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse who is not known; identify who is."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        caller = CALLERS.get(headers.get("x-api-key", ""))
        if caller is None:
            await JSONResponse({"detail": "unknown key"}, 401)(scope, receive, send)
            return
        scope.setdefault("state", {})["caller"] = caller
        session = headers.get("x-session")
        with spanwise.identify(user=caller.user, account=caller.account, session_id=session):
            await self.app(scope, receive, send)


def caller_of(request: Request) -> Caller:
    """Return who asks, for endpoints that need to know."""
    caller: Caller = request.state.caller
    return caller


Asking = Annotated[Caller, Depends(caller_of)]
app = FastAPI(title="Notes")
app.add_middleware(IdentifyCaller)


@spanwise.retrieval
def search(account: str, question: str) -> list[str]:
    """Return the account's notes that have a word in common with the question."""
    wanted = set(question.lower().split())
    return [note for note in NOTES[account] if wanted & set(note.lower().split())]


@spanwise.generation(model="echo-1", provider="example")
async def write(question: str, notes: list[str]) -> AsyncIterator[str]:
    """Stream an answer, a word at a time, as a model would."""
    for word in f"You asked: {question} I know {len(notes)} notes about it.".split():
        await asyncio.sleep(0)  # others run in between
        yield word + " "


@spanwise.agent(name="Notes", capture_input=["question"])
async def answer(question: str, caller: Caller) -> AsyncIterator[str]:
    """Search in a worker thread, then write."""
    notes = await asyncio.to_thread(search, caller.account, question)
    async for words in write(question, notes):
        yield words


@spanwise.tool(description="Keep what was asked, so that it is found the next time")
def remember(account: str, question: str) -> int:
    """Keep a note; return how many there are."""
    NOTES[account].append(question)
    return len(NOTES[account])


@app.post("/ask")
@spanwise.interaction("Ask", capture_input=["question"])
async def ask(question: str, caller: Asking, background: BackgroundTasks) -> dict[str, str]:
    """Answer at once; remember the question once the answer is on its way."""
    background.add_task(remember, caller.account, question)
    return {"answer": "".join([words async for words in answer(question, caller)]).strip()}


@app.post("/stream")
async def stream(question: str, caller: Asking) -> StreamingResponse:
    """Answer bit by bit: the spans end when the last bit was sent."""
    return StreamingResponse(streamed(question, caller), media_type="text/plain")


@spanwise.interaction("Stream", capture_input=["question"])
async def streamed(question: str, caller: Caller) -> AsyncIterator[str]:
    """The interaction is the stream, not the call that began it."""
    async for words in answer(question, caller):
        yield words


@app.get("/notes")
@spanwise.interaction("Notes", capture_input=[])
def notes(caller: Asking) -> list[str]:
    """An endpoint that is no coroutine: FastAPI runs it in a worker thread."""
    return search(caller.account, "what does everybody ask")


async def visit(client: httpx.AsyncClient, key: str) -> None:
    """What one user does."""
    user = CALLERS[key].user
    headers = {"x-api-key": key, "x-session": f"visit of {user}"}
    for question in (f"what does {user} ask first?", f"what does {user} ask next?"):
        told = await client.post("/ask", params={"question": question}, headers=headers)
        told.raise_for_status()
    asked = {"question": f"what does {user} ask last?"}
    async with client.stream("POST", "/stream", params=asked, headers=headers) as told:
        print(f"{user} is told:", "".join([text async for text in told.aiter_text()]))
    found = await client.get("/notes", headers=headers)
    print(f"{user} finds {len(found.json())} notes")


async def everybody() -> None:
    """All users at once, and one whom nobody knows."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://notes.test") as client:
        await asyncio.gather(*(visit(client, key) for key in CALLERS))
        refused = await client.get("/notes", headers={"x-api-key": "key-of-nobody"})
        print("a stranger is told:", refused.json()["detail"])


def main(folder: Path) -> None:
    """Run the service and show what was traced."""
    spanwise.configure(service_name="notes", environment="demo", traces_dir=folder)
    asyncio.run(everybody())
    spanwise.shutdown()

    from spanwise.cli import commands

    for account in sorted({caller.account for caller in CALLERS.values()}):
        print(f"\nFor {account}, as `spanwise show --account {account}` prints it:\n", flush=True)
        commands(["show", str(folder), "--account", account, "--limit", "2"], standalone_mode=False)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "traces"))
