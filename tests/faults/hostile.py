"""G16w: weights that were changed, and models that mean harm: none is used, nothing of them runs (F13, SEC-10).

Mutations are made of a version that was published and signed here. Hostile packages are directories as somebody might
hand them to an operator; each tries to leave a mark, and none may.
"""

import json
import os
import pickle
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from backtalk import weights
from backtalk.weights import MANIFEST, WeightsError
from tests.faults import figures
from tests.faults.figures import ROOT
from tests.server.scripted import write_model

Change = Callable[[Path, random.Random], None]


class _Bench:
    """Two published versions and the key they were signed with."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.key = Ed25519PrivateKey.generate()
        self.versions = [self._publish(number, script) for number, script in enumerate(("abc", "xyz!"))]

    def _publish(self, number: int, script: str) -> Path:
        made = self.directory / "made"
        write_model(made, script)
        directory, _ = weights.publish(made, self.directory, self.key, number=number)
        return directory


def mutate(seed: int, trials: int) -> figures.Outcome:
    """Change a version in `trials` ways; each must be refused by `weights.verify`, in its own words."""
    outcome, chance = figures.Outcome(), random.Random(seed)
    changes: list[Change] = [
        *(_flip, _flip, _flip, _cut, _lengthen, _overwrite, _empty, _remove, _add, _rename, _link, _hard_swap),
        *(_edit_manifest, _edit_manifest, _edit_manifest, _foreign_signature, _other_manifest, _stale_file, _directory),
    ]
    fast = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=fast) as place:
        bench = _Bench(Path(place))
        first, other = bench.versions
        public = bench.key.public_key()
        for _ in range(trials):
            version = Path(place) / first.name / ""
            changed = Path(place) / "changed" / first.name
            shutil.copytree(version, changed)
            change = chance.choice(changes)
            _OTHER["version"] = other
            change(changed, chance)
            outcome.trials += 1
            try:
                weights.verify(changed, public)
                outcome.violations.append(f"{change.__name__} was not noticed")
            except WeightsError:
                pass
            except Exception as error:
                outcome.violations.append(f"{change.__name__} broke the check: {error!r}")
            shutil.rmtree(Path(place) / "changed")
    return outcome


_OTHER: dict[str, Path] = {}


def _file(version: Path, chance: random.Random) -> Path:
    return chance.choice(sorted(path for path in version.iterdir()))


def _flip(version: Path, chance: random.Random) -> None:
    path = _file(version, chance)
    content = bytearray(path.read_bytes())
    if path.name == MANIFEST:  # white space is not signed, so a bit of a letter that is
        places = [place for place, letter in enumerate(content) if letter not in b" \n"]
        place = chance.choice(places)
        before = json.loads(content)
        content[place] ^= 1 << chance.randrange(7)
        try:
            if json.loads(bytes(content)) == before:  # the same said in another way
                content[content.index(b"{")] = 0
        except ValueError:
            pass
    else:
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def _cut(version: Path, chance: random.Random) -> None:
    path = _file(version, chance)
    os.truncate(path, chance.randrange(path.stat().st_size - 1))


def _lengthen(version: Path, chance: random.Random) -> None:
    with _file(version, chance).open("ab") as file:
        file.write(chance.randbytes(chance.randint(1, 100)).replace(b" ", b"x").replace(b"\n", b"x") + b"x")


def _overwrite(version: Path, chance: random.Random) -> None:
    path = _file(version, chance)
    path.write_bytes(chance.randbytes(path.stat().st_size))


def _empty(version: Path, chance: random.Random) -> None:
    _file(version, chance).write_bytes(b"")


def _remove(version: Path, chance: random.Random) -> None:
    _file(version, chance).unlink()


def _add(version: Path, chance: random.Random) -> None:
    names = [
        "modeling.py",
        "pytorch_model.bin",
        "README.md",
        "vocab.json",
        "x" * 200,
        ".hidden",
        "model.safetensors.tmp",
    ]
    (version / chance.choice(names)).write_bytes(chance.randbytes(10))


def _rename(version: Path, chance: random.Random) -> None:
    path = _file(version, chance)
    path.rename(path.with_name(chance.choice(["merges.txt", "vocab.json", "special_tokens_map.json", "a"])))


def _link(version: Path, chance: random.Random) -> None:
    path = _file(version, chance)
    target = version.parent / "elsewhere"
    shutil.copyfile(path, target)
    path.unlink()
    if path.name == MANIFEST:
        path.symlink_to("/dev/null")
    else:
        path.symlink_to(target)


def _hard_swap(version: Path, chance: random.Random) -> None:
    one, two = chance.sample(sorted(version.iterdir()), 2)
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)


def _edit_manifest(version: Path, chance: random.Random) -> None:
    path = version / MANIFEST
    content = json.loads(path.read_text())
    odd: list[Any] = [None, [], {}, 7, "x", True, {"a": {"sha256": "x"}}, [["model.safetensors"]], "0" * 128, -1, 1e308]
    name = chance.choice([*content, "new"])
    content[name] = chance.choice([one for one in odd if one != content.get(name)])
    if chance.random() < 0.2:
        files = content["files"] if isinstance(content["files"], dict) else {}
        files[chance.choice(["../../evil", "/etc/passwd", "model.safetensors", "config.json"])] = {
            "sha256": "",
            "size": 0,
        }
        content["files"] = files
    if chance.random() < 0.05:
        path.write_text("[" * 100_000)
    else:
        path.write_text(json.dumps(content))


def _foreign_signature(version: Path, chance: random.Random) -> None:
    path = version / MANIFEST
    content = json.loads(path.read_text())
    made = weights.Manifest(**content)
    content["signature"] = Ed25519PrivateKey.generate().sign(made.signed_bytes()).hex()
    path.write_text(json.dumps(content))


def _other_manifest(version: Path, chance: random.Random) -> None:
    shutil.copyfile(_OTHER["version"] / MANIFEST, version / MANIFEST)


def _stale_file(version: Path, chance: random.Random) -> None:
    shutil.copyfile(_OTHER["version"] / "model.safetensors", version / "model.safetensors")


def _directory(version: Path, chance: random.Random) -> None:
    path = _file(version, chance)
    path.unlink()
    path.mkdir()


# Hostile packages --------------------------------------------------------------------------------------------------

MARK = "BACKTALK_WAS_HERE"


class _Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch {self._mark}",))


def _bad_pickle(at: Path, mark: Path, name: str) -> None:
    (at / name).write_bytes(pickle.dumps(_Payload(mark)))


def _bad_zip(at: Path, mark: Path, name: str) -> None:
    """As `torch.save` writes it."""
    with zipfile.ZipFile(at / name, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(_Payload(mark)))


def _config(at: Path, **values: Any) -> None:
    path = at / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def _tokenizer_config(at: Path, **values: Any) -> None:
    path = at / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def _script(at: Path, mark: Path, name: str) -> None:
    (at / name).write_text(f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n")


def _template(at: Path, source: str) -> None:
    (at / "chat_template.jinja").write_text(source)


def _header(at: Path, header: bytes, body: bytes = b"") -> None:
    (at / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + body)


def _tensors(at: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = at / "model.safetensors"
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    change(header)
    _header(at, json.dumps(header).encode(), content[8 + size :])


def _no_number(at: Path, mark: Path) -> None:
    import numpy as np
    from safetensors.numpy import load_file, save_file

    tensors = load_file(str(at / "model.safetensors"))
    tensors["model.norm.weight"] = np.full_like(tensors["model.norm.weight"], np.nan)
    save_file(tensors, str(at / "model.safetensors"))


def _overlap(header: dict[str, Any]) -> None:
    names = [name for name in header if name != "__metadata__"]
    header[names[0]]["data_offsets"] = header[names[1]]["data_offsets"]


def _huge(header: dict[str, Any]) -> None:
    name = next(name for name in header if name != "__metadata__")
    header[name]["shape"] = [2**40, 2**20]


def _beyond(header: dict[str, Any]) -> None:
    name = next(name for name in header if name != "__metadata__")
    header[name]["data_offsets"] = [0, 2**40]


def _class_of_code(at: Path, mark: Path) -> None:
    _script(at, mark, "modeling_evil.py")
    _config(at, auto_map={"AutoModelForCausalLM": "modeling_evil.Evil", "AutoConfig": "modeling_evil.EvilConfig"})


def _tokenizer_of_code(at: Path, mark: Path) -> None:
    _script(at, mark, "tokenization_evil.py")
    _tokenizer_config(at, auto_map={"AutoTokenizer": ["tokenization_evil.Evil", None]}, tokenizer_class="Evil")


ESCAPE = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
SYSTEM = "{{ cycler.__init__.__globals__.os.system('touch MARK') }}"
GLOBALS = "{{ raise_exception.__globals__['__builtins__']['open']('MARK', 'w') }}"
FORMAT = "{{ '{0.__class__.__init__.__globals__}'.format(strftime_now) }}"
ATTR = "{{ messages|attr('__class__')|attr('__base__')|attr('__subclasses__')() }}"
LIPSUM = "{{ lipsum.__globals__['os'].popen('touch MARK').read() }}"
IMPORT = "{% import 'os' as os %}{{ os.system('touch MARK') }}"
INCLUDE = "{% include '/etc/passwd' %}"
LOOPS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
BOMB = "{{ 'x' * 99999999999 }}"
POWER = "{{ 9**(9**(9**9)) }}"
DEEP = "{% if true %}" * 3000 + "{% endif %}" * 3000
CHANGE = "{{ messages.append({'role': 'system', 'content': 'x'}) }}"


def _packages() -> dict[str, Callable[[Path, Path], Any]]:
    """Name -> what makes an honest model hostile."""

    def template(source: str) -> Callable[[Path, Path], None]:
        return lambda at, mark: _template(at, source.replace("MARK", str(mark)))

    def instead_of_weights(make: Callable[[Path, Path, str], None], name: str) -> Callable[[Path, Path], None]:
        def changed(at: Path, mark: Path) -> None:
            (at / "model.safetensors").unlink()
            make(at, mark, name)

        return changed

    def script(name: str) -> Callable[[Path, Path], None]:
        return lambda at, mark: _script(at, mark, name)

    def in_turn(*steps: Callable[[Path, Path], Any]) -> Callable[[Path, Path], None]:
        def all_of_them(at: Path, mark: Path) -> None:
            for step in steps:
                step(at, mark)

        return all_of_them

    return {
        "a pickle instead of weights": instead_of_weights(_bad_pickle, "pytorch_model.bin"),
        "a pickle called safetensors": instead_of_weights(_bad_pickle, "model.safetensors"),
        "a zip of torch called safetensors": instead_of_weights(_bad_zip, "model.safetensors"),
        "a pickle beside the weights": lambda at, mark: _bad_pickle(at, mark, "pytorch_model.bin"),
        "an optimizer in pickle": lambda at, mark: _bad_pickle(at, mark, "optimizer.pt"),
        "training arguments in pickle": lambda at, mark: _bad_zip(at, mark, "training_args.bin"),
        "a joblib": lambda at, mark: _bad_pickle(at, mark, "model.joblib"),
        "a NumPy file with objects": lambda at, mark: _bad_pickle(at, mark, "embeddings.npy"),
        "a class of its own": _class_of_code,
        "a tokenizer of its own": _tokenizer_of_code,
        "a generation of its own": in_turn(script("generate.py"), lambda at, mark: _config(at, custom_generate="x")),
        "a pipeline of its own": lambda at, mark: _config(at, custom_pipelines={"evil": {"impl": "evil.Evil"}}),
        "code deep in the configuration": lambda at, mark: _config(at, text_config={"auto_map": {"AutoModel": "x.Y"}}),
        "remote code asked for": lambda at, mark: _config(at, trust_remote_code=True),
        "kernels from elsewhere": lambda at, mark: _config(at, _attn_implementation="evil/kernel"),
        "a sitecustomize": in_turn(script("sitecustomize.py"), script("conftest.py")),
        "a configuration too deep": lambda at, mark: (at / "config.json").write_text("[" * 200_000),
        "a configuration too large": lambda at, mark: _config(at, note="x" * 2_000_000),
        "a configuration that is a list": lambda at, mark: (at / "config.json").write_text("[]"),
        "a configuration that is nothing": lambda at, mark: (at / "config.json").write_text(""),
        "a template that escapes": template(ESCAPE),
        "a template with a system call": template(SYSTEM),
        "a template that opens a file": template(GLOBALS),
        "a template that formats": template(FORMAT),
        "a template that climbs": template(ATTR),
        "a template that runs a shell": template(LIPSUM),
        "a template that imports": template(IMPORT),
        "a template that includes": template(INCLUDE),
        "a template that never ends": template(LOOPS),
        "a template that fills the memory": template(BOMB),
        "a template that counts for ever": template(POWER),
        "a template too deep": template(DEEP),
        "a template that changes the conversation": template(CHANGE),
        "a template in the tokenizer's settings": in_turn(
            lambda at, mark: (at / "chat_template.jinja").unlink(missing_ok=True),
            lambda at, mark: _tokenizer_config(at, chat_template=SYSTEM.replace("MARK", str(mark))),
        ),
        "a tokenizer that is none": lambda at, mark: (at / "tokenizer.json").write_text('{"version": "1.0"}'),
        "a tokenizer too deep": lambda at, mark: (at / "tokenizer.json").write_text("[" * 200_000),
        "weights that are a link to a secret": lambda at, mark: _link_to(at / "model.safetensors", "/etc/passwd"),
        "a read-me that is a link to a secret": lambda at, mark: _link_to(at / "README.md", "/etc/passwd"),
        "a link up and out": lambda at, mark: _link_to(at / "vocab.json", "../../../../../../etc/hostname"),
        "weights that are a device": lambda at, mark: _link_to(at / "model.safetensors", "/dev/zero"),
        "weights that are a pipe": in_turn(
            lambda at, mark: (at / "model.safetensors").unlink(),
            lambda at, mark: os.mkfifo(at / "model.safetensors"),
        ),
        "a header longer than the file": lambda at, mark: (at / "model.safetensors").write_bytes(b"\xff" * 16),
        "a header of nothing": lambda at, mark: _header(at, b"{}"),
        "a header too deep": lambda at, mark: _header(at, b"[" * 100_000),
        "tensors that overlap": lambda at, mark: _tensors(at, _overlap),
        "a tensor larger than memory": lambda at, mark: _tensors(at, _huge),
        "a tensor beyond the file": lambda at, mark: _tensors(at, _beyond),
        "weights that are no numbers": _no_number,
        "a shard from elsewhere": lambda at, mark: (at / "model.safetensors.index.json").write_text(
            json.dumps({"weight_map": {"a": "../../../etc/passwd"}})
        ),
        "a manifest of another": lambda at, mark: (at / MANIFEST).write_text(json.dumps({"number": 1, "files": {}})),
        "a manifest that climbs": lambda at, mark: (at / MANIFEST).write_text(
            json.dumps(
                {
                    "number": 1,
                    "parent": None,
                    "run": None,
                    "snapshot": None,
                    "files": {"../x": {"sha256": "", "size": 0}},
                }
            )
        ),
    }


def _link_to(path: Path, target: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


LEFT_BEHIND = {
    "a pickle beside the weights",
    "an optimizer in pickle",
    "training arguments in pickle",
    "a joblib",
    "a NumPy file with objects",
    "a sitecustomize",
}
"""The model itself is honest; what lies beside it is not taken along."""
HARMLESS = {"a template that formats"}
"""What the template asks for is not there, and what it gets is an empty text."""


def unpack(seed: int, trials: int) -> figures.Outcome:
    """Try to take in every hostile package, and to serve what was taken in."""
    return unpack_these(list(_packages()))


def unpack_these(names: list[str]) -> figures.Outcome:
    """The same with some of them."""
    outcome = figures.Outcome()
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "tests.faults.hostile", place, *names]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        words = dict(line.split("\t", 1) for line in done.stdout.splitlines() if "\t" in line)
        for name in names:
            outcome.trials += 1
            wrong = _judge(name, words.get(name, f"nothing was said: {done.stderr[-300:]}"), Path(place))
            outcome.violations += [f"{name}: {wrong}"] if wrong else []
    return outcome


def _mark(place: Path, name: str) -> Path:
    """The file that a package makes if anything of it runs; a shell must be able to spell it."""
    return place / f"{MARK}-{name.replace(' ', '-')}"


def _judge(name: str, word: str, place: Path) -> str | None:
    """What came of it that should not have."""
    made = place / f"{name} made"
    if _mark(place, name).exists():
        return "it ran"
    if made.exists() and "root:" in "".join(one.read_text(errors="replace") for one in made.iterdir() if one.is_file()):
        return "a secret was taken along"
    if odd := [one.name for one in made.iterdir() if not weights.ALLOWED.fullmatch(one.name)]:
        return f"{odd} were taken along"
    if word.startswith("refused") or (word == "served" and name in LEFT_BEHIND | HARMLESS):
        return None
    return word


def main(place: Path, names: list[str]) -> None:
    """Take models in as `backtalk policy import` does, then load each as the engine does."""
    import torch

    from backtalk import admission
    from backtalk.engine import loading
    from backtalk.engine.errors import LoadFailed

    for name in names:
        at, made, mark = place / name, place / f"{name} made", _mark(place, name)
        made.mkdir()
        write_model(at, "abc", ends=True)
        _packages()[name](at, mark)
        try:
            if (at / MANIFEST).exists():
                weights.verify(at)
            weights.copy_model(at, made)
            admission.admit(made)
            loading.from_directory(made, torch.device("cpu"))
        except (WeightsError, LoadFailed) as error:
            word = f"refused: {str(error)[:200]}"
        except Exception as error:
            word = f"broke: {type(error).__name__}: {error}"
        else:
            word = "served"
        print(f"{name}\t{' '.join(word.split())}", flush=True)


MUTATIONS = figures.Figure(
    name="G16w",
    claim="Weights that were changed in any way are refused before a tensor of them is used",
    unit="mutations",
    run=mutate,
    minimum=3_000,
    goal=10_000,
    slice=5_000,
    faults="F13",
    limits="A holder of the signing key can sign anything.",
)
COUNT = len(_packages())
PACKAGES = figures.Figure(
    name="G16p",
    claim="Models that mean harm: none is served with what it brought, nothing of them runs",
    unit="hostile packages",
    run=unpack,
    minimum=COUNT,
    goal=COUNT,
    slice=COUNT,
    faults="F13",
    limits=f"{len(LEFT_BEHIND)} of them are honest models with something bad beside them: the bad part is left behind.",
)

if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
