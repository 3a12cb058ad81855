"""Engines of other makes behind our own interface: vLLM, SGLang, TGI, and whatever speaks OpenAI's protocol.

| kind | log-probs | how a version comes in | held at once | what a person notices |
|---|---|---|---|---|
| `vllm` | exact | adapters: new names; full weights: drained, updated, verified | adapters: many; full: one | nothing |
| `sglang` | exact without filters | full weights: drained, updated, verified | one a replica | nothing |
| `tgi` | exact | replicas of the new version started, old ones drained and ended | one a replica | nothing |
| `openai` | none | not at all: it serves a model of its own | one | - |

With a single replica of full weights a swap waits for a quiet moment; whoever writes in it waits for the update.
No reply is cut, spliced or lost by a swap. A reply that loses its engine goes on where it was, on any replica that
holds its version; only on `openai`, which cannot be given the beginning of a reply, does it end as `failed`.
The seed of a reply is passed on, but another engine draws from it in its own way.
"""
