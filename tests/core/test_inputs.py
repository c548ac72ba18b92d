"""Values of inputs: taken in whatever form they are numbers, refused all at once where they are none."""

import gzip
import json
import lzma

import numpy as np
import pytest

import tpc
from tpc.core.inputs import bind_inputs, check_given, load_data, parse_setting
from tpc.diagnostics.diagnostic import TpcError

PROGRAM = """
width n
input a, b = 1/2, xs[2, 3] = 1, j[4] : index(3), v
vector u : n ~ N(0, v)
vector (p, q) : n ~ N([0, 0], [[1, a], [a, 1]])
m = mean(p*q) + sum(i < 4: j[i]*xs[0, 1])
output m
"""
GOOD = {"a": 0.25, "j": [0, 1, 2, 0], "v": 1}


@pytest.fixture(scope="module")
def program():
    return tpc.parse(PROGRAM)


def codes(error):
    return [d.code for d in error.value.diagnostics]


def test_defaults_fill_whole_arrays(program):
    bound = bind_inputs(program, GOOD)
    assert list(bound) == ["a", "b", "xs", "j", "v"]
    assert bound["b"] == 0.5
    assert bound["xs"].tolist() == [[1, 1, 1], [1, 1, 1]]
    assert "".join(array.dtype.kind for array in bound.values()) == "fffif"


@pytest.mark.parametrize(
    "j",
    [(0, 1, 2, 0), np.array([0, 1, 2, 0], np.uint8), [0.0, 1.0, 2.0, 0.0], np.array([0, 1, 2, 0], object)],
)
def test_indices_are_whole_numbers_of_any_type(program, j):
    bound = bind_inputs(program, {**GOOD, "j": j})["j"]
    assert bound.dtype == np.int64
    assert bound.tolist() == [0, 1, 2, 0]


def test_what_is_given_is_not_changed(program):
    given = np.full((2, 3), 7.0)
    bound = bind_inputs(program, {**GOOD, "xs": given})["xs"]
    bound[:] = 0
    assert given.tolist() == [[7, 7, 7], [7, 7, 7]]


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"xs": np.ones((3, 2))}, "TP502", "xs"),
        ({"b": [1.0]}, "TP502", "b"),
        ({"xs": [[1, 2, 3], [4, np.nan, 6]]}, "TP503", "[1, 1]"),
        ({"b": np.inf}, "TP503", "b"),
        ({"j": [0, 1, 2, 3]}, "TP506", "j"),
        ({"j": [0, 1, -1, 2]}, "TP506", "j"),
        ({"j": [0, 1, 0.5, 2]}, "TP506", "j"),
        ({"b": "much"}, "TP508", "b"),
        ({"b": 1j}, "TP508", "b"),
        ({"xs": np.ma.array(np.ones((2, 3)), mask=np.eye(2, 3))}, "TP508", "masked"),
        ({"c": 1}, "TP504", "c"),
        ({"v": -1}, "TP409", "variance"),
        ({"a": 2}, "TP406", "eigenvalue"),
    ],
)
def test_what_is_wrong_is_told(program, change, code, said):
    with pytest.raises(TpcError) as caught:
        bind_inputs(program, {**GOOD, **change})
    assert codes(caught) == [code]
    assert said in str(caught.value)


def test_all_that_is_wrong_is_told_at_once(program):
    with pytest.raises(TpcError) as caught:
        bind_inputs(program, {"xs": 1, "j": [9, 9, 9, 9], "w": 0})
    assert sorted(codes(caught)) == ["TP501", "TP502", "TP504", "TP506"]


def test_some_inputs_alone_are_checked(program):
    check_given(program, {"j": [0, 0, 0, 0]})
    check_given(program, {})
    with pytest.raises(TpcError) as caught:
        check_given(program, {"j": [0]})
    assert codes(caught) == ["TP502"]
    with pytest.raises(TypeError, match="by name"):
        check_given(program, [1])


def test_a_name_in_two_spellings_is_given_twice():
    program = tpc.parse("width n\ninput φ\nvector u : n ~ N(0, 1)\noutput m = mean(φ*u^2)\n")
    assert bind_inputs(program, {"phi": 2})["phi"] == bind_inputs(program, {"ϕ": 2})["phi"] == 2
    with pytest.raises(TpcError, match="φ"):
        bind_inputs(program, {"phi": 2, "φ": 3})


def test_a_singular_covariance_is_one(program):
    """Rounding leaves an eigenvalue a little below 0."""
    bind_inputs(program, {**GOOD, "a": 1})
    bind_inputs(program, {**GOOD, "a": np.nextafter(1, 2)})


# files


VALUES = {"a": np.float64(0.25), "j": np.array([0, 1, 2, 0]), "xs": np.arange(6.0).reshape(2, 3)}


def written(folder, name):
    path = folder / name
    plain = folder / "plain"
    if ".npz" in name:
        with plain.open("wb") as file:
            np.savez(file, **VALUES)
    else:
        plain.write_text(json.dumps({key: value.tolist() for key, value in VALUES.items()}))
    pack = {".gz": gzip.compress, ".xz": lzma.compress}.get(path.suffix, bytes)
    path.write_bytes(pack(plain.read_bytes()))
    return path


@pytest.mark.parametrize("name", ["d.npz", "d.json", "d.npz.gz", "d.json.gz", "d.npz.xz", "d.json.xz"])
def test_files_hold_arrays_by_name(tmp_path, name):
    found = load_data(written(tmp_path, name))
    assert found.keys() == VALUES.keys()
    for key, value in VALUES.items():
        np.testing.assert_array_equal(found[key], value)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("d.txt", b"1,2", "in none of .npz, .json and .csv"),
        ("d.json", b"[1, 2]", "not an object"),
        ("d.json", b'{"a": 1, "a": 2}', "given twice"),
        ("d.json", b'{"a": "x"}', "`a` is not a number"),
        ("d.json", b'{"a": [[1], [2, 3]]}', "equal rows"),
        ("d.json", b"\xff", "UTF-8"),
        ("d.csv", b"x[0];x[1]\n1;2\n", "separated by semicolons, and not by commas"),
        ("d.csv", b"x;y,z\n1,2\n", "is no name of a column"),
        ("d.json", b'{"a": ' + b"[" * 5000, "it is damaged|recursion|line 1"),
        ("d.npz", b"\x80\x04", "pickle"),
        ("d.npz", b"nothing", "not an .npz archive"),
        ("d.npz", b"PK\x03\x04", "."),
        ("d.json.gz", gzip.compress(b'{"a": 1}', mtime=0)[:-4], "."),
        ("d.json.gz", b"{}", "."),
        ("d.json.xz", lzma.compress(b"{}", format=lzma.FORMAT_ALONE), "no .xz file"),
    ],
)
def test_files_that_hold_none_are_refused(tmp_path, name, content, why):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TpcError, match=why) as caught:
        load_data(tmp_path / name)
    assert codes(caught) == ["TP505"]


def test_a_file_that_unpacks_without_end_is_not_unpacked(tmp_path):
    path = tmp_path / "d.json.xz"
    path.write_bytes(lzma.compress(b" " * (1 << 27)))
    with pytest.raises(TpcError, match=r"unpacks to more than|larger than"):
        load_data(path)


def test_there_is_no_such_file(tmp_path):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(TpcError) as caught:
            load_data(path)
        assert codes(caught) == ["TP505"]


# settings


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("a=1/3", "a", 1 / 3),
        (" a = -2e-3 ", "a", -2e-3),
        ("φ=1", "phi", 1),
        ("xs=[[1, 2], [3, 4]]", "xs", [[1, 2], [3, 4]]),
        ("xs=[]", "xs", []),
    ],
)
def test_settings(text, name, value):
    found = parse_setting(text)
    assert found[0] == name
    np.testing.assert_array_equal(found[1], value)


@pytest.mark.parametrize(
    "text", ["a", "=1", " =1", "a=", "a=x", "a=1/0", "a={}", 'a="1"', "a=[1, [2]]", "a=" + "[" * 9000]
)
def test_settings_that_are_none(text):
    with pytest.raises(TpcError) as caught:
        parse_setting(text)
    assert codes(caught) == ["TP507"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a", "there is no `name=`"),
        ("", "there is no `name=`"),
        (" = 1", "there is no `name=`"),
        ("a=", "the value is not a number or a list of numbers"),
        ("a=1/0", "the value is not a number or a list of numbers"),
        ("a=[1, [2]]", "the value is not a number or a list of numbers"),
    ],
)
def test_what_is_no_setting_is_told_with_its_reason(text, why):
    with pytest.raises(TpcError) as caught:
        parse_setting(text)
    (told,) = caught.value.diagnostics
    assert (told.code, told.message) == ("TP507", f"`{text}` is not a setting: {why}")
