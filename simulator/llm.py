"""A language model's server as OpenAI's clients know it: /v1/chat/completions and /v1/embeddings, offline.

What it thinks is `simulator.mind`. Trouble comes from the same faults as WeChat's (`path` "/v1/chat/completions"),
with one more part, `say`: "garbage" (no JSON), "oversize" (megabytes), "empty", "obey" (does what anybody asks),
"smuggle" (does so behind an honest answer), and any other text is what the model says.
"""

import asyncio
import json
import math
import zlib
from typing import Any

from aiohttp import web

from simulator import mind, wire
from simulator.endpoints import WECHAT, hang_up
from simulator.mind import Thought
from simulator.quotas import CallRecord
from simulator.world import Json

CHAT, EMBEDDINGS = "/v1/chat/completions", "/v1/embeddings"
NAME = "simulated-model"
DIMENSIONS = 256
OVERSIZE = 20 * 1024 * 1024
INPUTS_MOST = 10


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes of the model's server."""
    return [web.post(CHAT, chat), web.post(EMBEDDINGS, embeddings)]


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message, "type": "invalid_request_error"}}, status=status)


async def _enter(request: web.Request) -> tuple[Json, str | None, web.Response | None]:
    """Record the call and apply its fault; returns the body, what it is to say, and the answer if that is all."""
    wechat = request.app[WECHAT]
    try:
        body = wire.from_json(await request.read())
    except wire.WireError:
        body = {}
    record = CallRecord(wechat.world.clock.ms(), request.method, request.path, "", None, body)
    wechat.quotas.record(record)
    fault = wechat.faults.for_api(request.path, "")
    if fault is not None:
        await asyncio.sleep(fault.delay)
        if fault.drop is not None:
            return body, None, hang_up(request)
        if fault.status is not None:
            return body, None, _refusal(fault.status, fault.errmsg or "trouble on request")
        if fault.say == "garbage":
            return body, None, web.Response(text="<html>502 upstream</html>", content_type="application/json")
        if fault.say == "oversize":
            return body, None, web.Response(body=b'{"choices":"' + b"x" * OVERSIZE, content_type="application/json")
    if not request.headers.get("Authorization", "").startswith("Bearer "):
        return body, None, _refusal(401, "no API key")
    if not isinstance(body.get("model"), str):
        return body, None, _refusal(400, "model is missing")
    record.errcode = 0
    return body, fault.say if fault is not None else None, None


async def chat(request: web.Request) -> web.StreamResponse:
    """Answer a chat."""
    body, say, answer = await _enter(request)
    if answer is not None:
        return answer
    messages, tools = body.get("messages"), body.get("tools") or []
    if not isinstance(messages, list) or not messages:
        return _refusal(400, "messages is missing")
    thought = _thought(request, messages, tools, say)
    message: Json = {"role": "assistant", "content": thought.text}
    if thought.calls:
        message["tool_calls"] = [
            {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for n, (name, arguments) in enumerate(thought.calls)
        ]
    words = len(json.dumps(body, ensure_ascii=False))
    spoken = len(thought.text) + sum(len(name) + len(arguments) for name, arguments in thought.calls)
    world = request.app[WECHAT].world
    return web.json_response(
        {
            "id": f"chatcmpl-{world.hex(12)}",
            "object": "chat.completion",
            "created": int(world.clock.time()),
            "model": NAME,
            "choices": [
                {"index": 0, "message": message, "finish_reason": "tool_calls" if thought.calls else "stop"},
            ],
            "usage": {"prompt_tokens": words, "completion_tokens": spoken, "total_tokens": words + spoken},
        }
    )


def _thought(request: web.Request, messages: list[Json], tools: list[Json], say: str | None) -> Thought:
    if say in ("obey", "smuggle"):
        key = request.headers["Authorization"].removeprefix("Bearer ")
        return (mind.obey if say == "obey" else mind.smuggle)(messages, tools, key)
    if say == "empty":
        return Thought("")
    return mind.think(messages, tools) if say is None else Thought(say)


async def embeddings(request: web.Request) -> web.StreamResponse:
    """Return a vector per text."""
    body, _, answer = await _enter(request)
    if answer is not None:
        return answer
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not 1 <= len(texts) <= INPUTS_MOST:
        return _refusal(400, f"input must be 1 to {INPUTS_MOST} texts")
    data: list[Json] = [
        {"object": "embedding", "index": n, "embedding": vector(str(text))} for n, text in enumerate(texts)
    ]
    words = sum(len(str(text)) for text in texts)
    usage: dict[str, Any] = {"prompt_tokens": words, "total_tokens": words}
    return web.json_response({"object": "list", "model": body["model"], "data": data, "usage": usage})


def vector(text: str) -> list[float]:
    """Return a unit vector in which texts that share pairs of letters are near each other."""
    counts = [0.0] * DIMENSIONS
    for gram in mind.grams(text):
        counts[zlib.crc32(gram.encode()) % DIMENSIONS] += 1.0
    length = math.sqrt(sum(x * x for x in counts)) or 1.0
    return [x / length for x in counts]
