"""Files of arrays: whole or not at all, just what was written or refused."""

import io
import os
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tpc.machine.files import (
    digest,
    open_regular,
    read_arrays,
    read_npz,
    require_writable,
    whole,
    write_npz,
    write_whole,
)

quick = settings(max_examples=30, deadline=None)
kept = arrays.arrays(
    st.sampled_from([np.float64, np.float32, np.int64, np.bool_, np.uint16]),
    arrays.array_shapes(min_dims=0, max_dims=3, max_side=4),
)
# names of members, with which `np.savez` has trouble, too
names = st.sampled_from(["file", "args", "x", "a/b", "h$1[t]", "Ż"])
ARRAYS = {"x": np.arange(12.0).reshape(3, 4), "k": np.array([1, 2], np.int32), "text": np.array("words")}


@quick
@given(st.dictionaries(names, kept, max_size=4))
def test_what_is_written_is_read(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("files") / "run.npz"
    write_whole(path, values)
    found = read_arrays(path)
    assert list(found) == list(values)
    for name, array in values.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    assert [p.name for p in path.parent.iterdir()] == ["run.npz"]


def test_columns_first_stay_columns_first(tmp_path):
    write_whole(tmp_path / "a.npz", {"x": np.asfortranarray(ARRAYS["x"])})
    found = read_arrays(tmp_path / "a.npz")["x"]
    assert found.flags.f_contiguous
    np.testing.assert_array_equal(found, ARRAYS["x"])


@pytest.mark.parametrize("at", range(0, 1000, 50))
def test_no_flipped_bit_is_read(tmp_path, at):
    """Be it in a member, in a header, in the directory or in the seal."""
    path = tmp_path / "a.npz"
    write_whole(path, ARRAYS)
    content = bytearray(path.read_bytes())
    content[at % len(content)] ^= 4
    path.write_bytes(content)
    try:
        found = read_arrays(path)
    except ValueError:
        return
    assert found.keys() == ARRAYS.keys()  # a bit of the archive that says nothing, such as a date
    assert all(np.array_equal(found[name], array) for name, array in ARRAYS.items())


@pytest.mark.parametrize("kept", [0, 1, 10, 100, 0.5, 0.9, -1])
def test_half_of_a_file_is_none(tmp_path, kept):
    path = tmp_path / "a.npz"
    write_whole(path, ARRAYS)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    with pytest.raises(ValueError):
        read_arrays(path)


def test_members_exchanged_or_left_out_break_the_seal(tmp_path):
    path = tmp_path / "a.npz"
    write_whole(path, ARRAYS)
    with zipfile.ZipFile(path) as archive:
        comment = archive.comment
        members = {name: archive.read(name) for name in archive.namelist()}
    for changed in (
        {"x.npy": members["x.npy"]},
        {**members, "x.npy": members["k.npy"]},
        {f"a{name}": content for name, content in members.items()},
    ):
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in changed.items():
                archive.writestr(name, content)
            archive.comment = comment
        with pytest.raises(ValueError, match="not as it was written"):
            read_arrays(path)


def npz(members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    file.seek(0)
    return file


def npy(array, **options):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ([("x.npy", npy(np.array([{}], object), allow_pickle=True))], "pickled objects"),
        ([("x.npy", b"nothing")], "no .npy file"),
        ([("x.npy", npy(np.ones(4))[:-8])], "not as long as its header says"),
        ([("x.npy", npy(np.ones(4)) + b"more")], "not as long as its header says"),
        ([("x.npy", npy(np.ones(4), version=(3, 0)))], "version 3.0"),
        ([("x.npy", npy(np.zeros(10**8, np.uint8)))], "unpacks to"),
        ([("x.npy", npy(np.zeros(1000)))] * 2, "twice"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_of_anybody_are_refused_for_a_reason(members, why):
    file = npz(members)
    with pytest.raises(ValueError, match=why):
        read_npz(file, 1 << 30)


def test_sizes_are_limited_before_anything_is_unpacked():
    file = io.BytesIO()
    write_npz(file, {"x": np.ones(1000)})
    file.seek(0)
    with pytest.raises(ValueError, match="more than"):
        read_npz(file, 4000)
    file.seek(0)
    assert read_npz(file, 9000)["x"].sum() == 1000


def test_an_interruption_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.npz"
    write_whole(path, {"x": np.ones(2)})

    def interrupted():
        with whole(path) as part:
            part.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert read_arrays(path)["x"].tolist() == [1, 1]
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def test_a_link_stays_a_link(tmp_path):
    target, link = tmp_path / "target.npz", tmp_path / "link.npz"
    target.write_bytes(b"")
    link.symlink_to(target)
    write_whole(link, {"x": np.ones(3)})
    assert link.is_symlink()
    assert read_arrays(target)["x"].tolist() == [1, 1, 1]


def test_pipes_and_folders_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(OSError):
            open_regular(path)
        with pytest.raises(ValueError):
            read_arrays(path)
    with pytest.raises(IsADirectoryError):
        require_writable(tmp_path)
    with pytest.raises(OSError):
        require_writable(tmp_path / "none" / "a.npz")
    require_writable(tmp_path / "pipe")
    require_writable(tmp_path / "new.npz")
    assert not (tmp_path / "new.npz").exists()


def test_fingerprints_tell_every_bit_shape_and_type():
    x = np.arange(6.0)
    prints = [
        digest("a", {"x": x}),
        digest("b", {"x": x}),
        digest("a", {"y": x}),
        digest("a", {"x": x.reshape(2, 3)}),
        digest("a", {"x": x.astype(np.float32)}),
        digest("a", {"x": np.nextafter(x, 7)}),
        digest("a", {"x": x, "y": x}),
        digest("a", {}),
    ]
    assert len(set(prints)) == len(prints)
    assert digest("a", {"y": x, "x": x[::1]}) == digest("a", {"x": x, "y": x.copy()})
    assert digest("a", {"x": np.arange(12.0)[::2] / 2}) == digest("a", {"x": x})
