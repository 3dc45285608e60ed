"""Model files whose checksum is right and whose contents are not: run as a program, prints what loading them cost.

What a file says is put in place of reading it: that files come back as they were written is for `test_storage.py`.
"""

import copy
import json
import random
import resource
import sys
import time

import torch

from likewise import storage
from likewise.errors import ModelFileError
from likewise.estimators.files import load

WRONG = [None, True, -1, 0, 7, 10**9, 2**62, -0.5, 1e300, "x", "9" * 1000, [], {}, [[]], [10**9]]


def places(value, path=()):
    """The path of every part of JSON data."""
    yield path
    if isinstance(value, dict):
        for key, part in value.items():
            yield from places(part, (*path, key))
    elif isinstance(value, list):
        for i, part in enumerate(value):
            yield from places(part, (*path, i))


def replaced(value, path, other):
    """The same data with another part at `path`; `...` takes it away."""
    value = copy.deepcopy(value)
    if not path:
        return other if isinstance(other, dict) else {}
    at = value
    for step in path[:-1]:
        at = at[step]
    if other is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = other
    return value


def altered_headers(header, number, seed):
    """Headers with one part replaced, removed or added."""
    dice = random.Random(seed)
    every = list(places(header))
    for path in [("settings", key) for key in header["settings"]] + dice.sample(every, min(number, len(every))):
        for other in [..., *WRONG]:
            try:
                yield f"{path} = {other!r:.40}", replaced(header, path, other)
            except (KeyError, IndexError, TypeError):
                continue
    yield "an unknown setting", {**header, "settings": {**header["settings"], "code": "import os"}}
    yield "an unknown field", {**header, "code": "import os"}


def altered_tensors(tensors):
    """Tensors of wrong shapes, types and numbers, missing ones and more."""
    for name, tensor in tensors.items():
        yield f"{name} missing", {key: part for key, part in tensors.items() if key != name}
        yield f"{name} longer", {**tensors, name: torch.cat([tensor.flatten(), tensor.flatten()[:1]])}
        yield f"{name} flat", {**tensors, name: tensor.reshape(1, *tensor.shape)}
        yield f"{name} in bytes", {**tensors, name: tensor.to(torch.uint8)}
        yield f"{name} in half", {**tensors, name: tensor.to(torch.float16)}
        if tensor.is_floating_point() and tensor.numel():
            yield f"{name} of NaN", {**tensors, name: torch.full_like(tensor, torch.nan)}
    yield "one more", {**tensors, "family.extra": torch.zeros(1)}
    yield "another room", {**tensors, "other.extra": torch.zeros(1)}
    yield "none", {}


def main(path):
    """Loads every alteration of the model at `path`; writes as JSON what loaded, what failed otherwise, the cost."""
    header, tensors = storage.read(path)
    load(path)
    cases = [(words, other, tensors) for words, other in altered_headers(header, 15, 0)]
    cases += [(words, header, other) for words, other in altered_tensors(tensors)]
    before, loaded, otherwise, slowest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, [], [], (0.0, "")
    for words, one, other in cases:
        contents = json.loads(json.dumps(one)), other
        storage.read = lambda _, contents=contents: contents
        start = time.process_time()
        try:
            load(path)
            loaded.append(words)
        except ModelFileError as error:
            if "\n" in str(error):
                otherwise.append(f"{words}: {error}")
        except BaseException as error:
            otherwise.append(f"{words}: {error!r:.200}")
        slowest = max(slowest, (time.process_time() - start, words))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    facts = {"cases": len(cases), "loaded": loaded, "otherwise": otherwise, "slowest": slowest}
    sys.stdout.write(json.dumps({**facts, "megabytes": (after - before) / 1024}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1])
