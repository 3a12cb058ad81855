"""`python -m server.schemas`: the JSON schema of the chat socket's words, for clients in other languages."""

import json

from pydantic import TypeAdapter

from server.events import ChatEvent, ChatRequest


def schemas() -> str:
    """Both unions, what clients may say and what they hear, as one JSON document."""
    requests, events = TypeAdapter(ChatRequest), TypeAdapter(ChatEvent)
    return json.dumps(
        {"ChatRequest": requests.json_schema(), "ChatEvent": events.json_schema(mode="serialization")}, indent=2
    )


if __name__ == "__main__":
    print(schemas())
