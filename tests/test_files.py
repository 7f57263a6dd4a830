"""Pictures from files that the tests make: read as they were written, or refused by a sentence."""

import gzip
import pickle
import struct
import zipfile
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from fsps_lite.datasets import files
from fsps_lite.datasets.bitmap import bitmap
from fsps_lite.datasets.pictures import Pictures
from tests.oracles import seeded

RAW = torch.randint(256, (6, 4, 5), generator=seeded(0), dtype=torch.uint8)
COLOUR = torch.randint(256, (6, 3, 4, 5), generator=seeded(1), dtype=torch.uint8)
LABELS = torch.tensor([0, 2, 1, 0, 2, 1])


def as_idx(array):
    kinds = {"uint8": 8, "int16": 11, "int32": 12, "float32": 13}
    head = bytes([0, 0, kinds[array.dtype.name], array.ndim])
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return head + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


def save(image, path, **options):
    path.parent.mkdir(exist_ok=True)
    array = image.numpy()
    Image.fromarray(array if array.ndim == 2 else np.moveaxis(array, 0, -1)).save(path, **options)


def agrees(data, raw, labels=None):
    """What was loaded leads back to what was written, in its shape and order."""
    shown = raw if raw.ndim == 3 else raw.movedim(1, -1)
    assert_close(data.brightness(data.images), shown.double(), rtol=0, atol=1e-10)
    assert data.shape == tuple(raw.shape[1:])
    assert_close(float(data.images.square().mean()), 1.0)
    assert (data.labels is None) == (labels is None)
    assert labels is None or torch.equal(data.labels, labels)


@pytest.mark.parametrize("raw", [RAW, COLOUR], ids=["grey", "colour"])
def test_arrays_come_back(tmp_path, raw):
    np.save(tmp_path / "a.npy", raw.numpy())
    agrees(files.load(tmp_path / "a.npy"), raw)
    np.savez(tmp_path / "a.npz", images=raw.double().numpy() / 255, labels=LABELS.numpy())
    agrees(files.load(tmp_path / "a.npz"), raw.double() / 255, LABELS)
    torch.save({"images": raw, "labels": LABELS}, tmp_path / "a.pt")
    agrees(files.load(tmp_path / "a.pt"), raw, LABELS)
    torch.save(raw, tmp_path / "b.pt")
    np.save(tmp_path / "labels.npy", LABELS.numpy())
    agrees(files.load(tmp_path / "b.pt", labels=tmp_path / "labels.npy"), raw, LABELS)


def test_colours_may_stand_last_and_a_single_one_is_grey(tmp_path):
    np.save(tmp_path / "a.npy", np.moveaxis(COLOUR.numpy(), 1, -1))
    agrees(files.load(tmp_path / "a.npy"), COLOUR)
    np.savez(tmp_path / "b.npz", RAW[:, None].numpy().astype(np.uint16) * 257)
    agrees(files.load(tmp_path / "b.npz"), RAW.double() * 257)


@pytest.mark.parametrize("kind", ["uint8", "int16", "int32", "float32"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
def test_idx_files_come_back(tmp_path, kind, pack):
    (tmp_path / "images-idx3").write_bytes(pack(as_idx(RAW.numpy().astype(kind))))
    (tmp_path / "labels-idx1").write_bytes(pack(as_idx(LABELS.numpy().astype("uint8"))))
    data = files.load(tmp_path / "images-idx3", labels=tmp_path / "labels-idx1")
    agrees(data, RAW, LABELS)
    assert data.names == ("0", "1", "2")


@pytest.mark.parametrize("raw", [RAW, COLOUR], ids=["grey", "colour"])
def test_a_folder_comes_back_in_the_order_of_its_names(tmp_path, raw):
    for k in reversed(range(6)):
        save(raw[k], tmp_path / f"{k}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    agrees(files.load(tmp_path), raw)
    assert files.load(tmp_path, size=(2, 2)).shape[-2:] == (2, 2)
    assert files.load(tmp_path, grey=True).shape == (4, 5)


def test_folders_in_a_folder_are_labels(tmp_path):
    for k, name in enumerate(["dog", "cat", "dog"]):
        save(RAW[k], tmp_path / name / f"{k}.png")
    data = files.load(tmp_path)
    agrees(data, RAW[[1, 0, 2]], torch.tensor([0, 1, 1]))
    assert data.names == ("cat", "dog")
    assert torch.equal(data.partition.members(data.images), data.labels)
    save(RAW[0], tmp_path / "loose.png")
    with pytest.raises(ValueError, match="or folders of pictures, not both"):
        files.load(tmp_path)


def test_a_jpeg_is_near_what_it_was(tmp_path):
    smooth = torch.linspace(0, 255, 64).byte().reshape(8, 8)
    for k in range(2):
        save(smooth + k * 10, tmp_path / f"{k}.jpg", quality=95)
    data = files.load(tmp_path)
    assert float((data.brightness(data.images)[0] - smooth).abs().max()) < 20


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("unit", [1e-30, 1.0, 2.0**60, 1e300])
def test_the_unit_of_brightness_is_of_no_matter(tmp_path, unit, dtype):
    """Neither the squares of large values overflow, nor those of small ones vanish."""
    raw = RAW.double() * unit
    np.save(tmp_path / "a.npy", raw.numpy())
    if unit == 1e300 and dtype == torch.float32:
        with pytest.raises(ValueError, match="must fit into torch.float32, got values of 2.5"):
            files.load(tmp_path / "a.npy", dtype=dtype)
        return
    data, plain = files.load(tmp_path / "a.npy", dtype=dtype), Pictures.of(RAW, dtype=dtype)
    eps = torch.finfo(dtype).eps
    assert_close(data.images, plain.images, rtol=8 * eps, atol=8 * eps)
    assert data.scale / unit == pytest.approx(plain.scale, rel=8 * eps)
    assert_close(data.brightness(data.images).double(), raw, rtol=16 * eps, atol=16 * eps * unit)
    assert data.images.dtype == data.mean.dtype == dtype


@pytest.mark.parametrize("value", [0.0, 0.1, 1e300, 7e-310])
def test_equal_pictures_have_no_scale_whatever_their_mean_rounds_to(value):
    same = torch.full((7, 4, 5), value, dtype=torch.float64)
    for images in (same, RAW[:1].double().expand(9, 4, 5) / 255):
        with pytest.raises(ValueError, match="or more that differ: they have no scale, got [79]"):
            Pictures.of(images)


@pytest.mark.parametrize("kind", [np.float16, np.longdouble, np.uint64, np.bool_, ">i4"])
def test_arrays_of_any_real_dtype_are_read(tmp_path, kind):
    array = (RAW.numpy() > 99).astype(kind)
    array = array + np.uint64(2**63) * array if kind is np.uint64 else array
    np.save(tmp_path / "a.npy", array)
    agrees(files.load(tmp_path / "a.npy"), torch.tensor(array.astype(np.float64)))


def test_what_is_loaded_is_a_copy():
    raw = RAW.double().requires_grad_()
    data = Pictures.of(raw)
    data.images.zero_()
    assert torch.equal(raw.detach(), RAW.double())
    assert not data.images.requires_grad


def test_a_picture_is_turned_as_its_file_says(tmp_path):
    """A camera that was held upright stores its rows as columns, and says so."""
    smooth = torch.linspace(0, 255, 64 * 32).byte().reshape(64, 32)
    for k in range(2):
        turned = Image.fromarray((smooth + k).rot90(1).numpy().copy())
        exif = turned.getexif()
        exif[0x0112] = 6  # to be turned by 90 degrees, clockwise, to be looked at
        turned.save(tmp_path / f"{k}.jpg", quality=95, exif=exif)
    data = files.load(tmp_path)
    assert data.shape == (64, 32)
    assert float((data.brightness(data.images)[0] - smooth).abs().max()) < 20


def test_pictures_of_two_colours_and_of_a_palette_are_read(tmp_path):
    """They are made grey and coloured, as nothing is lost by that."""
    pixels = (RAW > 127).numpy()
    for k in range(2):
        Image.fromarray(pixels[k]).save(tmp_path / f"{k}.png")
    assert np.array_equal(bitmap(tmp_path / "0.png"), 255 * pixels[0].astype(np.uint8))
    agrees(files.load(tmp_path), 255 * torch.tensor(pixels[:2]).byte())
    folder = tmp_path / "p"
    folder.mkdir()
    for k in range(2):
        picture = Image.new("P", (2, 1))
        picture.putpalette([9, 8, 7, 200, 100, 50])
        picture.putpixel((k, 0), 1)
        picture.save(folder / f"{k}.png")
    data = files.load(folder)
    shown = data.brightness(data.images)
    assert_close(shown[0, 0], torch.tensor([[200.0, 100, 50], [9, 8, 7]]).double())
    assert_close(shown[1], shown[0].flip(1))


def test_what_the_system_hides_is_passed_over(tmp_path):
    for k in range(3):
        save(RAW[k], tmp_path / f"{k}.png")
    (tmp_path / "._0.png").write_bytes(b"resource fork")
    (tmp_path / ".cache").mkdir()
    agrees(files.load(tmp_path), RAW[:3])


def mixed_sizes(folder):
    save(RAW[0], folder / "a.png")
    save(RAW[1, :2], folder / "b.png")


def mixed_colours(folder):
    save(RAW[0], folder / "a.png")
    save(COLOUR[1], folder / "b.png")


def alpha(folder):
    Image.new("RGBA", (4, 4)).save(folder / "a.png")


def alpha_of_a_palette(folder):
    Image.new("P", (4, 4)).save(folder / "a.png", transparency=0)


def sixteen(folder):
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(folder / "a.png")


def png(depth, colour, data):
    """A PNG file as its standard says it, of one row."""

    def chunk(kind, body):
        sum_ = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + sum_

    head = struct.pack(">IIBBBBB", 1, 1, depth, colour, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(b"\0" + data)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def sixteen_of_each_colour(folder):
    """Pillow opens it as 8 bits, and does not say so."""
    (folder / "a.png").write_bytes(png(16, 2, bytes(range(6))))


def alpha_of_a_colour(folder):
    Image.new("RGB", (4, 4)).save(folder / "a.png", transparency=(0, 0, 0))


def other_kind(folder):
    save(RAW[0], folder / "a.png")
    save(RAW[1], folder / "b.webp")


def deeper_folder(folder):
    (folder / "cat" / "young").mkdir(parents=True)
    save(RAW[0], folder / "cat" / "a.png")


def empty_label(folder):
    save(RAW[0], folder / "a" / "a.png")
    (folder / "b").mkdir()


def folder_beside(folder):
    save(RAW[0], folder / "a.png")
    (folder / "b.png").mkdir()


def equal(folder):
    for name in "abc":
        save(RAW[0], folder / f"{name}.png")


def alone(folder):
    save(RAW[0], folder / "a.png")


def of_cifar(folder):
    (folder / "data_batch_1").write_bytes(pickle.dumps(1))


def corrupt(folder):
    save(RAW[0], folder / "a.png")
    data = (folder / "a.png").read_bytes()
    (folder / "a.png").write_bytes(data[:50])


def no_picture(folder):
    (folder / "a.png").write_text("text")


def cmyk(folder):
    Image.new("CMYK", (4, 4)).save(folder / "a.jpg")


FOLDERS = [
    (mixed_sizes, "4 x 5 pixels grey in a.png and 2 x 5 pixels grey in b.png.*size="),
    (mixed_colours, "grey in a.png and 4 x 5 pixels in colour in b.png.*grey=True"),
    (alpha, "a.png has an alpha channel.*RGBA.*convert"),
    (alpha_of_a_palette, "a.png has an alpha channel"),
    (sixteen, "a.png must have 8 bits for each colour.*16"),
    (corrupt, "a.png cannot be read as a picture: it is damaged"),
    (no_picture, "a.png cannot be read as a picture"),
    (cmyk, "a.jpg must be grey or red, green and blue, got the mode CMYK"),
    (lambda folder: None, "must hold PNG or JPEG files, got none, but nothing"),
    (of_cifar, "must hold PNG or JPEG files, got none, but data_batch_1"),
    (sixteen_of_each_colour, "a.png must have 8 bits for each colour.*RGB.*the upper 8"),
    (alpha_of_a_colour, "a.png has an alpha channel"),
    (other_kind, "must be PNG or JPEG files, got b.webp.*save"),
    (deeper_folder, "the folder cat is a label.*got the folder young in it"),
    (empty_label, "the folder b is a label.*got none"),
    (folder_beside, "not both, got a.png beside the folder b.png"),
    (equal, "two pictures or more that differ.*got 3 that are equal"),
    (alone, "two pictures or more that differ.*got 1 that"),
]


@pytest.mark.parametrize(("make", "says"), FOLDERS, ids=lambda one: getattr(one, "__name__", ""))
def test_a_folder_that_will_not_do_is_refused(tmp_path, make, says):
    make(tmp_path)
    with pytest.raises(ValueError, match=says):
        files.load(tmp_path)


class Fires:
    """What runs a program when it is unpickled."""

    def __reduce__(self):
        return exec, ("raise SystemExit('the file was executed')",)


def object_array(path):
    np.save(path / "a.npy", np.array([Fires()], dtype=object), allow_pickle=True)
    return path / "a.npy"


def object_in_pt(path):
    torch.save({"images": Fires()}, path / "a.pt")
    return path / "a.pt"


def cifar(path):
    (path / "data_batch_1").write_bytes(pickle.dumps({b"data": RAW.numpy(), b"x": Fires()}))
    return path / "data_batch_1"


def named_pickle(path):
    (path / "a.pkl").write_bytes(pickle.dumps(Fires(), protocol=0))
    return path / "a.pkl"


def pickle_named_npy(path):
    (path / "a.npy").write_bytes(pickle.dumps(Fires()))
    return path / "a.npy"


@pytest.mark.parametrize(
    "make", [object_array, object_in_pt, cifar, named_pickle, pickle_named_npy]
)
def test_pickles_are_refused_and_never_opened(tmp_path, make):
    with pytest.raises(ValueError, match=r"pickle.*np\.savez\('pictures\.npz'"):
        files.load(make(tmp_path))


def written(name, data):
    def make(path):
        (path / name).write_bytes(data)
        return path / name

    return make


def torn_zip(path):
    with zipfile.ZipFile(path / "a.npz", "w") as archive:
        archive.writestr("images.npy", b"torn")
    return path / "a.npz"


def arrays(**named):
    def make(path):
        np.savez(path / "a.npz", **{name: np.asarray(a) for name, a in named.items()})
        return path / "a.npz"

    return make


IDX = as_idx(RAW.numpy())
FILES = [
    (written("a.npy", b"\x93NUMPY torn"), "a.npy cannot be read: it is damaged"),
    (written("a.pt", b"torn"), "a.pt cannot be read"),
    (torn_zip, "a.npz cannot be read|must hold arrays"),
    (written("a", IDX[:-1]), "a is damaged: its head says 136 bytes.*got 135"),
    (written("a", IDX + b"0"), "a is damaged"),
    (written("a", IDX[:7]), "a is damaged"),
    (written("a.gz", gzip.compress(IDX)[:-9]), "a.gz cannot be unpacked: it is damaged"),
    (written("a.csv", b"1,2"), "a.csv must be a folder of pictures, .npy, .npz, .pt, or IDX"),
    (written("a", b""), "must be a folder of pictures"),
    (arrays(x=RAW, y=RAW), r"must hold one array, or `images` and `labels`, got \['x', 'y'\]"),
    (arrays(images=RAW.flatten(1)), r"must have shape \(N, H, W\) or.*reshape"),
    (arrays(images=RAW, labels=LABELS / 2), "the labels of a.npz must be whole numbers"),
    (arrays(images=RAW, labels=LABELS[1:]), "`labels` must have shape"),
    (arrays(images=RAW, labels=LABELS - 1), "`labels` must be whole numbers from 0"),
    (arrays(images=np.full((3, 2, 2), np.nan)), "`images` must be finite"),
    (arrays(images=np.ones((3, 2, 2))), "two pictures or more that differ: they have no scale"),
    (arrays(images=np.ones((3, 5, 6, 4))), r"1 or 3 colours.*\(3, 5, 6, 4\).*images\[..., :3\]"),
    (arrays(images=np.ones((3, 2, 5, 6))), "must have 1 or 3 colours, and no alpha channel"),
    (arrays(images=np.ones((32, 32, 3))), r"look like one picture \(H, W, C\).*images\[:, None\]"),
    (arrays(images=RAW, labels=list("abcabc")), r"must hold arrays of real numbers, got <U1"),
    (arrays(images=RAW, labels=LABELS * 10**8), "labels.max.*at most 100,000, got 200000000"),
    (arrays(images=RAW.numpy() + 1j), "a.npz must hold arrays of real numbers"),
]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("make", "says"), FILES, ids=[says[:30] for _, says in FILES])
def test_a_file_that_will_not_do_is_refused(tmp_path, make, says):
    with pytest.raises(ValueError, match=says):
        files.load(make(tmp_path))


@pytest.mark.usefixtures("unchecked")
def test_wrong_calls_are_answered(tmp_path):
    for dtype in (torch.float16, torch.int64):
        with pytest.raises(TypeError, match="`dtype` must be torch.float32 or torch.float64"):
            Pictures.of(RAW, dtype=dtype)
    for images in (RAW.double().to_sparse(), RAW + 1j):
        with pytest.raises(ValueError, match="must be a dense, real tensor of shape"):
            Pictures.of(images)
    with pytest.raises(ValueError, match="must leave two pictures that are seen, got 2"):
        Pictures.of(RAW[:2]).split()
    torch.save((RAW, LABELS), tmp_path / "a.pt")
    with pytest.raises(ValueError, match="a.pt must hold arrays of real numbers, got tuple"):
        files.load(tmp_path / "a.pt")
    with pytest.raises(FileNotFoundError, match="nowhere, which does not exist"):
        files.load(tmp_path / "nowhere")
    np.save(tmp_path / "a.npy", RAW.numpy())
    with pytest.raises(ValueError, match="`size` and `grey` are for folders"):
        files.load(tmp_path / "a.npy", grey=True)
    with pytest.raises(ValueError, match="a partition needs `labels`"):
        _ = files.load(tmp_path / "a.npy").partition
    save(RAW[0], tmp_path / "large" / "a.png")
    with pytest.raises(ValueError, match="`size` must be a whole number above 0 and at most"):
        files.load(tmp_path / "large", size=(10**6, 10**6))
    with pytest.raises(ValueError, match="`names` need `labels`"):
        Pictures.of(RAW, names=["a"])
    with pytest.raises(ValueError, match="one name for each of 3 labels"):
        Pictures.of(RAW, LABELS, names=["a", "b"])


def test_what_is_held_out_was_not_seen():
    data = Pictures.of(RAW, LABELS)
    seen, held_out = data.split(2, seed=3)
    assert_close(seen.images.mean(0), torch.zeros(20, dtype=torch.float64), rtol=0, atol=1e-12)
    assert_close(float(seen.images.square().mean()), 1.0)
    parts = torch.cat([part.brightness(part.images).round() for part in (seen, held_out)])
    labels = torch.cat([seen.labels, held_out.labels])
    place = (parts.flatten(1)[:, None] == RAW.flatten(1).double()).all(-1).long().argmax(1)
    assert sorted(place.tolist()) == list(range(6))
    assert torch.equal(LABELS[place], labels)
    assert not torch.equal(data.split(2, seed=4)[1].images, held_out.images)
    assert torch.equal(data.split()[0].images, data.split(2)[0].images)
