"""A stand-in for torchvision, whose wheel may be built for another torch: for imports alone.

azula and deepinv require torchvision, and deepinv imports it at once, for images that the tests do
not use. Each name below stands for a function or a class that raises as soon as it is called.
"""

import enum
import sys
from types import ModuleType


class InterpolationMode(enum.Enum):
    """Two of its modes, by which deepinv names its defaults."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"


def absent(name):
    """A function of this name that raises."""

    def call(*values, **options):
        raise NotImplementedError(f"{name}: this torchvision is a stand-in, for imports alone")

    return call


NAMES = {
    "transforms": ("CenterCrop", "Compose", "Resize", "ToTensor"),
    "transforms.functional": ("crop", "rotate", "to_pil_image"),
    "utils": ("make_grid", "save_image"),
    "datasets": (),
    "datasets.folder": (),
    "datasets.utils": ("download_and_extract_archive",),
}
__version__ = "0.15.0+standin"
__path__ = []
for path, names in NAMES.items():
    module = ModuleType(f"{__name__}.{path}")
    vars(module).update({name: absent(name) for name in names}, __path__=[])
    sys.modules[module.__name__] = module
    parent, _, last = module.__name__.rpartition(".")
    setattr(sys.modules[parent], last, module)
sys.modules[f"{__name__}.transforms"].InterpolationMode = InterpolationMode
sys.modules[f"{__name__}.datasets.folder"].IMG_EXTENSIONS = (".png", ".jpg")
