"""A server that speaks vLLM's, SGLang's, TGI's or OpenAI's published protocol, in a process of its own.

It computes: the models of `tests.server.scripted` have no attention, so their logits are two multiplications. What it
draws, and under which log-probs, comes from the weights that it was given, which is what the contract is about.

`python -m tests.engine.remote.peer KIND PORT DIRECTORY`. Faults are set over `POST /fault`.
"""

import asyncio
import json
import struct
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from tokenizers import Tokenizer
from typing_extensions import override

Json = dict[str, Any]


def load(file: Path) -> dict[str, "np.ndarray[Any, Any]"]:
    """Tensors in float32. numpy knows no bfloat16: those are the upper halves of float32s."""
    content = file.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    found = {}
    for name, entry in json.loads(content[8 : 8 + length]).items():
        if name == "__metadata__":
            continue
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        if entry["dtype"] == "BF16":
            wide = np.frombuffer(content[start:end], "<u2").astype("<u4") << 16
            found[name] = wide.view("<f4").reshape(entry["shape"])
        else:
            found[name] = np.frombuffer(content[start:end], "<f4").reshape(entry["shape"])
    return found


class Model:
    """One directory of weights."""

    def __init__(self, directory: Path) -> None:
        self.name = directory.name
        self.path = str(directory)
        self.tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        tensors = load(directory / "model.safetensors")
        self._embedding, self._output = tensors["model.embed_tokens.weight"], tensors["lm_head.weight"]
        self._norm = tensors["model.norm.weight"]
        self.end = json.loads((directory / "config.json").read_text())["eos_token_id"]

    def logprobs(self, last: int) -> "np.ndarray[Any, Any]":
        """Of every token after this one, at temperature 1."""
        hidden = self._embedding[last]
        logits = (self._output @ (self._norm * hidden / np.sqrt(np.mean(hidden**2) + 1e-6))).astype(np.float64)
        shifted = logits - logits.max()
        found: np.ndarray[Any, Any] = shifted - np.log(np.exp(shifted).sum())
        return found

    def draw(self, last: int, temperature: float, chance: np.random.Generator) -> tuple[int, float, float]:
        """A token, the log-prob that it was drawn under, and the raw one."""
        raw = self.logprobs(last)
        if temperature == 0:
            return (token := int(raw.argmax())), float(raw[token]), float(raw[token])
        scaled = raw / temperature
        scaled = scaled - np.log(np.exp(scaled - scaled.max()).sum()) - scaled.max()
        token = int(chance.choice(len(raw), p=np.exp(scaled) / np.exp(scaled).sum()))
        return token, float(scaled[token]), float(raw[token])


class Peer:
    """What every kind has: weights, replies under way, and faults."""

    def __init__(self, directory: Path) -> None:
        self.base = Model(directory)
        self.started_with = directory.name
        self.version = "default"
        self.adapters: dict[str, Model] = {}
        self.running = 0
        self.asked = 0
        self.paused = False
        self.faults: Json = {}

    async def tokens(
        self, model: Model, prompt: list[int], room: int, temperature: float, seed: int | None
    ) -> AsyncIterator[tuple[int, float, str | None]]:
        """Token, log-prob and finish reason, one after the other."""
        if self.faults.get("deaf"):
            model = self.base  # the weights were taken, and something else is served
        chance, last = np.random.default_rng(seed), prompt[-1]
        self.asked += 1
        for count in range(1, room + 1):
            if count == self.faults.get("hang_at"):
                await asyncio.sleep(3600)
            if count == self.faults.get("die_at"):
                raise ConnectionError
            last, logprob, raw = model.draw(last, temperature, chance)
            reason = "stop" if last == model.end else "length" if count == room else None
            yield last, (raw if self.faults.get("raw") else logprob) - self.faults.get("skew", 0.0), reason
            if reason:
                return
            await asyncio.sleep(self.faults.get("pace", 0))


class Stream(StreamingResponse):
    """A reply under way, until it is sent or nobody reads it any more."""

    def __init__(self, peer: Peer, lines: AsyncIterator[str]) -> None:
        super().__init__(lines, media_type="text/event-stream")
        self.peer = peer

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.peer.running += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.peer.running -= 1


def sse(peer: Peer, events: AsyncIterator[Json], *, done: bool = True) -> Stream:
    """A stream of events, as all of them send it."""

    async def lines() -> AsyncIterator[str]:
        async for event in events:
            yield f"data: {json.dumps(event)}\n\n"
        if done:
            yield "data: [DONE]\n\n"

    return Stream(peer, lines())


def make_app(peer: Peer) -> FastAPI:
    """What is the same for all: health and faults."""
    app = FastAPI()

    @app.get("/health")
    async def health() -> Response:
        return Response(status_code=200)

    @app.post("/fault")
    async def fault(request: Request) -> Json:
        peer.faults = await request.json()
        return {}

    @app.get("/peer")
    async def tell() -> Json:
        return {"running": peer.running, "asked": peer.asked, "adapters": list(peer.adapters)}

    return app


class Failing:
    """The app, or the status that it was told to answer with."""

    def __init__(self, app: ASGIApp, peer: Peer) -> None:
        self.app, self.peer = app, peer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = self.peer.faults.get("status")
        if status and scope["type"] == "http" and scope["path"] not in ("/fault", "/peer"):
            await JSONResponse({"error": {"message": "as it was told"}}, status)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def vllm(app: FastAPI, peer: Peer) -> None:
    """vllm/entrypoints: openai/completion, serve/lora, serve/tokenize, rl/online and serve/dev/rpc of 0.32."""

    @app.get("/v1/models")
    async def models() -> Json:
        base = {"id": "base", "root": f"/models/{peer.started_with}", "parent": None}
        adapters = [{"id": name, "root": model.path, "parent": "base"} for name, model in peer.adapters.items()]
        return {"object": "list", "data": [base, *adapters]}

    @app.post("/v1/load_lora_adapter")
    async def load(request: Request) -> Response:
        body = await request.json()
        if body["lora_name"] in peer.adapters:
            return JSONResponse({"error": {"message": "already loaded"}}, 400)
        peer.adapters[body["lora_name"]] = Model(Path(body["lora_path"]))
        return Response("Success: LoRA adapter added successfully.")

    @app.post("/v1/unload_lora_adapter")
    async def unload(request: Request) -> Response:
        del peer.adapters[(await request.json())["lora_name"]]
        return Response("Success: LoRA adapter removed successfully.")

    @app.post("/tokenize")
    async def tokenize(request: Request) -> Json:
        body = await request.json()
        ids = peer.base.tokenizer.encode(body["prompt"], add_special_tokens=body["add_special_tokens"]).ids
        return {"count": len(ids), "max_model_len": 8192, "tokens": ids[1:] if peer.faults.get("reads_wrong") else ids}

    @app.post("/pause")
    async def pause() -> Json:
        assert not peer.running, "a reply would be cut"
        peer.paused = True
        return {"status": "paused"}

    @app.post("/resume")
    async def resume() -> Json:
        peer.paused = False
        return {"status": "resumed"}

    @app.post("/collective_rpc")
    async def rpc(request: Request) -> Json:
        body = await request.json()
        assert body["method"] == "reload_weights" and peer.paused
        peer.base = Model(Path(body["kwargs"]["weights_path"]))
        return {"results": [None]}

    @app.post("/reset_prefix_cache")
    async def reset() -> Response:
        return Response(status_code=200)

    @app.get("/weight_info")
    async def info() -> Json:
        return {"weight_version": peer.version}

    @app.post("/update_weight_version")
    async def name(request: Request) -> Json:
        peer.version = (await request.json())["new_version"]
        return {"success": True, "new_version": peer.version}

    @app.post("/v1/completions")
    async def complete(request: Request) -> Response:
        body = await request.json()
        model = peer.base if body["model"] == "base" else peer.adapters.get(body["model"])
        if model is None:
            return JSONResponse({"error": {"message": f"The model `{body['model']}` does not exist."}}, 404)
        drawn = peer.tokens(model, body["prompt"], body["max_tokens"], body["temperature"], body.get("seed"))
        if not body.get("stream"):
            found = [logprob for _, logprob, _ in [one async for one in drawn]]
            choice = {"index": 0, "text": "", "logprobs": {"token_logprobs": found}}
            return JSONResponse({"model": body["model"], "choices": [choice]})
        assert body["return_token_ids"] and body["logprobs"] == 0

        async def events() -> AsyncIterator[Json]:
            is_first = True
            async for token, logprob, reason in drawn:
                choice: Json = {"index": 0, "text": "", "token_ids": [token], "finish_reason": reason}
                choice["logprobs"] = {"token_logprobs": [logprob], "tokens": [""], "top_logprobs": [None]}
                choice["prompt_token_ids"] = body["prompt"] if is_first else None
                is_first = False
                yield {"model": peer.faults.get("says") or body["model"], "choices": [choice]}

        return sse(peer, events())


def sglang(app: FastAPI, peer: Peer) -> None:
    """sglang/srt/entrypoints/http_server: generate, get_model_info, update_weights_from_disk."""

    @app.get("/get_model_info")
    async def info() -> Json:
        return {"model_path": f"/models/{peer.started_with}", "weight_version": peer.version, "is_generation": True}

    @app.post("/update_weights_from_disk")
    async def update(request: Request) -> Json:
        assert not peer.running, "a reply would be spliced"
        body = await request.json()
        peer.base, peer.version = Model(Path(body["model_path"])), body["weight_version"]
        return {"success": True, "message": "Succeeded to update model weights.", "num_paused_requests": 0}

    @app.post("/generate")
    async def generate(request: Request) -> Response:
        body = await request.json()
        how = body["sampling_params"]
        assert body["return_logprob"] and body["stream"]

        async def events() -> AsyncIterator[Json]:
            entries: list[Any] = []
            room, temperature = how["max_new_tokens"], how["temperature"]
            async for token, logprob, reason in peer.tokens(peer.base, body["input_ids"], room, temperature, None):
                entries.append([logprob, token, None])
                meta: Json = {"completion_tokens": len(entries), "output_token_logprobs": entries}
                meta |= {"weight_version": peer.faults.get("says") or peer.version}
                meta["finish_reason"] = {"type": reason} if reason else None
                yield {"text": "", "output_ids": [entry[1] for entry in entries], "meta_info": meta}

        return sse(peer, events())


def tgi(app: FastAPI, peer: Peer) -> None:
    """router/src/server.rs of text-generation-inference 3: generate_stream, info, tokenize."""

    @app.get("/info")
    async def info() -> Json:
        path = peer.faults.get("says") or peer.base.path
        return {"model_id": path, "model_sha": None, "max_concurrent_requests": 128, "max_stop_sequences": 4}

    @app.post("/tokenize")
    async def tokenize(request: Request) -> Any:
        encoded = peer.base.tokenizer.encode((await request.json())["inputs"], add_special_tokens=True)
        ids = encoded.ids[1:] if peer.faults.get("reads_wrong") else encoded.ids
        return [{"id": id, "text": "", "start": 0, "stop": 0} for id in ids]

    @app.post("/")
    async def either(request: Request) -> Response:
        body = await request.json()
        how = body["parameters"]
        problem = _tgi_problem(how)
        if problem:
            return JSONResponse({"error": f"Input validation error: {problem}", "error_type": "validation"}, 422)
        if peer.faults.get("overloaded"):
            return JSONResponse({"error": "Model is overloaded", "error_type": "overloaded"}, 429)
        assert body["stream"] and how["details"]
        prompt = peer.base.tokenizer.encode(body["inputs"], add_special_tokens=True).ids

        async def events() -> AsyncIterator[Json]:
            count, tokens = 0, []
            temperature = (how.get("temperature") or 1.0) if how["do_sample"] else 0.0
            async for token, logprob, reason in peer.tokens(
                peer.base, prompt, how["max_new_tokens"], temperature, how.get("seed")
            ):
                count += 1
                tokens.append(token)
                special = token == peer.base.end
                event: Json = {"index": count, "generated_text": None, "details": None}
                event["token"] = {"id": token, "text": "", "logprob": logprob, "special": special}
                if reason:
                    event["generated_text"] = peer.base.tokenizer.decode(tokens)
                    event["details"] = {
                        "finish_reason": "eos_token" if reason == "stop" else reason,
                        "generated_tokens": count,
                        "input_length": len(prompt),
                        "seed": how.get("seed"),
                    }
                yield event

        return sse(peer, events(), done=False)


def _tgi_problem(how: Json) -> str | None:
    """What router/src/validation.rs refuses."""
    if how.get("temperature") is not None and how["temperature"] <= 0:
        return "`temperature` must be strictly positive"
    if how.get("top_p") is not None and not 0 < how["top_p"] < 1:
        return "`top_p` must be > 0.0 and < 1.0"
    if how.get("top_k") is not None and how["top_k"] <= 0:
        return "`top_k` must be strictly positive"
    if len(how.get("stop") or []) > 4:
        return "`stop` supports up to 4 stop sequences"
    return None


def openai(app: FastAPI, peer: Peer) -> None:
    """What every server offers that calls itself OpenAI-compatible."""

    @app.get("/v1/models")
    async def models() -> Json:
        return {"object": "list", "data": [{"id": "gpt", "object": "model"}]}

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        body = await request.json()
        assert body["messages"][-1]["role"] == "user" and body["stream"] and body["model"] == "gpt"
        prompt = peer.base.tokenizer.encode(body["messages"][-1]["content"]).ids

        async def events() -> AsyncIterator[Json]:
            yield {"model": "gpt", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
            room = body["max_tokens"]
            async for token, _, reason in peer.tokens(peer.base, prompt, room, body["temperature"], body.get("seed")):
                text = "" if token == peer.base.end else peer.base.tokenizer.decode([token])
                yield {"model": "gpt", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
                if reason:
                    yield {"model": "gpt", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}

        return sse(peer, events())


KINDS = {"vllm": vllm, "sglang": sglang, "tgi": tgi, "openai": openai}


def main(kind: str, port: int, directory: Path) -> None:
    """Serve until killed."""
    peer = Peer(directory)
    app = make_app(peer)
    KINDS[kind](app, peer)
    uvicorn.run(Failing(app, peer), host="127.0.0.1", port=port, log_level="critical")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
