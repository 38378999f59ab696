"""A stand-in for a model's API (OpenAI's chat completions), for the real Hermes: what it is told, it has Hermes run.

A user's words are answered by a call of Hermes's tool `terminal` with those words as the command, and the tool's result by
that result as the text. It needs nothing but Python, so that it runs on a machine of the lab: `python3 model.py PORT`.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

NAME = "stand-in"
TOOL = "terminal"


def reply(request: dict[str, Any]) -> dict[str, Any]:
    """What the model says next: the message of a completion."""
    *_, last = request["messages"]
    tools = [each["function"]["name"] for each in request.get("tools", [])]
    if last["role"] == "tool" or TOOL not in tools:  # without tools Hermes asks for a title and the like
        return {"role": "assistant", "content": _text(last)}
    call = {"name": TOOL, "arguments": json.dumps({"command": _text(last)})}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": call}],
    }


def _text(message: dict[str, Any]) -> str:
    """A message's text, of its parts or as it is."""
    content = message["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The models there are."""
        self._answer({"object": "list", "data": [{"id": NAME, "object": "model", "context_length": 200000}]})

    def do_POST(self) -> None:
        """A completion, as one answer or as a stream of one piece."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = reply(request)
        end = "tool_calls" if "tool_calls" in message else "stop"
        whole = {
            "id": "1",
            "created": 1,
            "model": NAME,
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }
        if not request.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": end}
            return self._answer({**whole, "object": "chat.completion", "choices": [choice]})
        calls = [{"index": at, **each} for at, each in enumerate(message.pop("tool_calls", []))]
        delta = message | ({"tool_calls": calls} if calls else {})
        pieces = [(delta, None), ({}, end)]
        chunks = [
            {
                **whole,
                "object": "chat.completion.chunk",
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
            }
            for delta, finish in pieces
        ]
        body = "".join(f"data: {json.dumps(each)}\n\n" for each in chunks) + "data: [DONE]\n\n"
        return self._send(body.encode(), "text/event-stream")

    def _answer(self, body: object) -> None:
        self._send(json.dumps(body).encode(), "application/json")

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
