"""Model files: what is written comes back bit for bit, and nothing else is ever read."""

import hashlib
import json
import textwrap

import numpy as np
import pytest
import torch
from safetensors import safe_open

from likewise import storage
from likewise.errors import ModelFileError

HEADER = {
    "family": "example",
    "settings": {"width": 8, "rate": 0.1, "names": ["a", "ü", "日本", "\ud800"], "none": None, "yes": True},
    "training": {"losses": [1.5, -2.25, 1e-300, 0.1 + 0.2]},
}


def example_tensors():
    generator = torch.Generator().manual_seed(0)
    return {
        "weight": torch.randn(5, 3, generator=generator),
        "double": torch.randn(7, generator=generator, dtype=torch.float64),
        "half": torch.randn(3, generator=generator).to(torch.bfloat16),
        "codes": torch.arange(-3, 3),
        "mask": torch.tensor([[True, False, True]]),
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 4),
        "bytes": torch.tensor([1, 255], dtype=torch.uint8),
        "infinite": torch.tensor([float("inf"), float("-inf"), float("nan")]),
        "transposed": torch.randn(4, 2, generator=generator).T,
    }


def raw(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8)


@pytest.fixture
def model_file(tmp_path):
    path = tmp_path / "model.safetensors"
    storage.write(path, HEADER, example_tensors())
    return path


def pack(header, data=b"", *, model="{}", version="1", sign=True, metadata=True):
    """A file as an attacker would forge it: anything in the header, and a checksum that is right."""
    blank = "0" * 64
    if isinstance(header, dict):
        first = {"__metadata__": {"likewise": version, "model": model, "sha256": blank}} if metadata else {}
        header = json.dumps(first | header, separators=(",", ":"))
    text = header.encode() if isinstance(header, str) else header
    head = len(text).to_bytes(8, "little") + text
    if sign:
        digest = hashlib.sha256(head + data).hexdigest()
        head = head.replace(b'"sha256":"' + blank.encode(), b'"sha256":"' + digest.encode(), 1)
    return head + data


def tensor_entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def test_what_is_written_comes_back_bit_for_bit(model_file):
    header, tensors = storage.read(model_file)
    assert header == HEADER
    expected = example_tensors()
    assert set(tensors) == set(expected)
    for name, tensor in tensors.items():
        assert tensor.dtype == expected[name].dtype
        assert tensor.shape == expected[name].shape
        assert raw(tensor).equal(raw(expected[name]))
    assert storage.read_header(model_file) == HEADER
    assert storage.read_header(model_file, verify=True) == HEADER


def test_the_reference_library_reads_the_same_tensors(model_file):
    with safe_open(model_file, framework="pt") as reference:
        assert set(reference.keys()) == set(example_tensors())
        np.testing.assert_array_equal(reference.get_tensor("weight").numpy(), example_tensors()["weight"].numpy())
        assert json.loads(reference.metadata()["model"]) == HEADER


def test_the_same_model_gives_the_same_bytes(model_file, tmp_path):
    again = tmp_path / "again.safetensors"
    storage.write(again, dict(reversed(HEADER.items())), dict(reversed(example_tensors().items())))
    assert again.read_bytes() == model_file.read_bytes()


def test_a_forged_file_with_honest_contents_is_read(tmp_path):
    path = tmp_path / "forged.safetensors"
    path.write_bytes(pack({"a": tensor_entry()}, np.array([1.0, 2.0], np.float32).tobytes(), model='{"x":1}'))
    header, tensors = storage.read(path)
    assert header == {"x": 1}
    assert tensors["a"].tolist() == [1.0, 2.0]


def test_a_failed_write_leaves_the_old_file(model_file):
    before = model_file.read_bytes()
    for bad in ({"x": float("nan")}, {1: 2}, {"x": object()}, {"x": np.int64(1)}):
        with pytest.raises((TypeError, ValueError)):
            storage.write(model_file, bad, {})
    deep = []
    for _ in range(100):
        deep = [deep]
    with pytest.raises(TypeError):
        storage.write(model_file, {"deep": deep}, {})
    with pytest.raises(ModelFileError, match="too large to be written"):
        storage.write(model_file, {"long": list(range(1_000_001))}, {})
    assert model_file.read_bytes() == before
    assert [entry.name for entry in model_file.parent.iterdir()] == [model_file.name]


def test_a_later_format_says_to_upgrade(tmp_path):
    path = tmp_path / "later.safetensors"
    path.write_bytes(pack({}, version="2"))
    with pytest.raises(ModelFileError, match=r"later version of likewise .*upgrade"):
        storage.read(path)
    with pytest.raises(ModelFileError, match="upgrade"):
        storage.read_header(path)


def test_what_is_no_file_is_said_so(tmp_path):
    for path, words in [(tmp_path / "absent", "no model file"), (tmp_path, "not a file"), ("a\0b", "null")]:
        with pytest.raises(ModelFileError, match=words):
            storage.read(path)


NESTED = "[" * 100_000 + "]" * 100_000
HUGE = 2**60
HOSTILE = {
    "empty": b"",
    "seven bytes": b"1234567",
    "header longer than the file": (10**18).to_bytes(8, "little") + b"{}",
    "header length of all ones": b"\xff" * 8 + b"{}",
    "empty header": pack(""),
    "header beyond the limit": pack(" " * (storage.HEADER_BYTES + 1)),
    "no object": pack("[]"),
    "number": pack("1"),
    "not UTF-8": pack(b'{"\xff\xfe": 1}'),
    "not ASCII": pack('{"ü": 1}'.encode()),
    "trailing text": pack("{}x"),
    "no metadata": pack({}, metadata=False),
    "foreign metadata": pack('{"__metadata__":{"format":"pt"}}'),
    "metadata of numbers": pack('{"__metadata__":{"likewise":"1","model":1,"sha256":"0"}}'),
    "metadata of lists": pack('{"__metadata__":[]}'),
    "version of words": pack({}, version="one"),
    "version of digits beyond ASCII": pack({}, version="²"),
    "version zero": pack({}, version="0"),
    "huge version": pack({}, version="9" * 100_000),
    "no checksum": pack('{"__metadata__":{"likewise":"1","model":"{}"}}'),
    "wrong checksum": pack({}, sign=False),
    "nested header": pack(NESTED),
    "nested header in objects": pack('{"a":' * 50_000 + "1" + "}" * 50_000),
    "nested model": pack({}, model=NESTED),
    "nested model, brackets escaped": pack({}, model=NESTED).replace(b"[", b"\\u005b"),
    "nested without end": pack("[" * 1_000_000),
    "million of lists": pack("[" + "[]," * 1_000_000 + "[]]"),
    "million of lists in the model": pack({}, model="[" + "[]," * 1_000_000 + "[]]"),
    "only quotes": pack('"' * 300_000),
    "only backslashes": pack("\\" * 300_000),
    "model no JSON": pack({}, model="{"),
    "model no object": pack({}, model="[1]"),
    "model of NaN": pack({}, model='{"x":NaN}'),
    "model of Infinity": pack({}, model='{"x":[-Infinity]}'),
    "model of 1e999": pack({}, model='{"x":1e999}'),
    "model of a huge integer": pack({}, model='{"x":' + "9" * 5000 + "}"),
    "model of a long integer": pack({}, model='{"x":' + "9" * 100 + "}"),
    "model that repeats a key": pack({}, model='{"x":1,"x":1}'),
    "repeated tensor": pack(
        '{"__metadata__":{"likewise":"1","model":"{}","sha256":"' + "0" * 64 + '"},'
        '"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'
    ),
    "tensor is a number": pack({"a": 1}),
    "tensor lacks a shape": pack({"a": {"dtype": "F32", "data_offsets": [0, 0]}}),
    "tensor has more": pack({"a": {**tensor_entry(), "code": "x"}}, bytes(8)),
    "unknown dtype": pack({"a": tensor_entry("F128")}, bytes(8)),
    "dtype of lists": pack({"a": {"dtype": ["F32"], "shape": [2], "data_offsets": [0, 8]}}, bytes(8)),
    "huge shape": pack({"a": tensor_entry(shape=[HUGE], offsets=[0, HUGE * 4])}, bytes(8)),
    "huge shape that is empty": pack({"a": tensor_entry(shape=[0, HUGE, HUGE], offsets=[0, 0])}),
    "many dimensions": pack({"a": tensor_entry(shape=[1] * 100_000, offsets=[0, 4])}, bytes(4)),
    "shape that overflows": pack({"a": tensor_entry(shape=[2**32, 2**32], offsets=[0, 0])}),
    "negative shape": pack({"a": tensor_entry(shape=[-1, -2])}, bytes(8)),
    "shape of floats": pack({"a": tensor_entry(shape=[2.0])}, bytes(8)),
    "shape of booleans": pack({"a": tensor_entry(shape=[True], offsets=[0, 4])}, bytes(4)),
    "shape of words": pack({"a": tensor_entry(shape="2")}, bytes(8)),
    "offsets beyond the file": pack({"a": tensor_entry(shape=[10**9], offsets=[0, 4 * 10**9])}, bytes(8)),
    "offsets reversed": pack({"a": tensor_entry(offsets=[8, 0])}, bytes(8)),
    "offsets negative": pack({"a": tensor_entry(offsets=[-8, 0])}, bytes(8)),
    "offsets of three": pack({"a": tensor_entry(offsets=[0, 4, 8])}, bytes(8)),
    "offsets overlap": pack({"a": tensor_entry(), "b": tensor_entry()}, bytes(8)),
    "offsets leave a gap": pack({"a": tensor_entry(), "b": tensor_entry(offsets=[12, 20])}, bytes(20)),
    "offsets out of order": pack({"b": tensor_entry(offsets=[8, 16]), "a": tensor_entry()}, bytes(16)),
    "bytes left over": pack({"a": tensor_entry()}, bytes(12)),
    "bytes missing": pack({"a": tensor_entry()}, bytes(4)),
    "booleans that are none": pack({"a": tensor_entry("BOOL", [3], [0, 3])}, b"\x00\x01\x02"),
    "too many tensors": pack({str(i): 0 for i in range(storage.TENSORS + 1)}),
    "a pickle": b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.",
    "a zip": b"PK\x03\x04" + bytes(100),
    "zeros": bytes(1000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_one_sentence(name, tmp_path):
    path = tmp_path / "hostile.safetensors"
    path.write_bytes(HOSTILE[name])
    with pytest.raises(ModelFileError) as caught:
        storage.read(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert len(message) < 400 + len(str(path))
    if name not in ("wrong checksum", "booleans that are none"):  # neither is seen without reading the tensors
        with pytest.raises(ModelFileError):
            storage.read_header(path)


def test_truncation_anywhere_is_refused(model_file):
    whole = model_file.read_bytes()
    for size in np.unique(np.linspace(0, len(whole) - 1, 500).astype(int)):
        model_file.write_bytes(whole[:size])
        with pytest.raises(ModelFileError):
            storage.read(model_file)
        with pytest.raises(ModelFileError):
            storage.read_header(model_file)


def test_a_flipped_bit_anywhere_is_refused(model_file):
    whole = bytearray(model_file.read_bytes())
    for bit in np.random.default_rng(0).choice(8 * len(whole), 600, replace=False):
        whole[bit // 8] ^= 1 << (bit % 8)
        model_file.write_bytes(whole)
        with pytest.raises(ModelFileError):
            storage.read(model_file)
        with pytest.raises(ModelFileError):
            storage.read_header(model_file, verify=True)
        whole[bit // 8] ^= 1 << (bit % 8)


def test_refusing_costs_less_than_200_megabytes(forks, tmp_path):
    for i, content in enumerate(HOSTILE.values()):
        (tmp_path / f"{i}.safetensors").write_bytes(content)
    values = ",".join('{"a":1.5}' for _ in range(240_000))  # the costliest header that the limits allow
    (tmp_path / "worst.safetensors").write_bytes(pack({}, model=f'{{"x":[{values}]}}', sign=False))
    # The peak of a process of its own: another test's memory cannot hide it.
    program = textwrap.dedent(
        """
        import pathlib, resource, sys
        from likewise import storage
        from likewise.errors import ModelFileError
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for path in pathlib.Path(sys.argv[1]).iterdir():
            try:
                storage.read(path)
            except ModelFileError:
                pass
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
        """
    )
    done = forks.run(program, tmp_path, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 200
