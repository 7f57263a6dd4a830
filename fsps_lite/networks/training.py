"""How a U-Net learns to denoise: by the square error of F-prediction at random noise levels."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.networks.course import RATE, Course
from fsps_lite.networks.weights import Trained
from fsps_lite.saving import check_target

LEVELS = (0.01, 50.0)  # of s = sigma / alpha: all but .3 % of the drawn ones lie between them
MEAN, SPREAD = 0.3, 1.4  # of ln(s), which is Gaussian
WARM, SLOW = 100, 0.995  # steps to the full rate; how slowly the average of the weights moves
SAVED = 50  # steps between two checkpoints
CALL = "train(data.images.float(), (1, 8, 8), steps=4000, seed=0)"

Progress = Callable[[int, float], None]  # called with the steps done and the last loss


def train(
    images: Float[Tensor, "N d"],
    shape: tuple[int, int, int],
    *,
    steps: int = 4000,
    batch: int = 128,
    channels: int = 16,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    progress: Progress | None = None,
) -> Trained:
    """A :class:`UNet` that denoises pictures such as ``images``, which are centred and scaled.

    Each of ``steps`` draws ``batch`` images and levels ln(s) ~ N(.3, 1.4^2), and lowers the square
    error of F, which predicts (s x_0 - eps) / sqrt(1 + s^2) from x_0 + s eps: v-prediction
    (Salimans and Ho, 2022), and the preconditioning of (Karras et al., 2022). With a ``checkpoint``
    the state is written there every 50 steps, and a later call with the same arguments goes on from
    it: the result is the same to the last bit. ``seed`` draws the first weights too. Raises
    ValueError for images that are not centred and scaled, and for a checkpoint of another training.
    """
    _check(images, shape, steps, batch, seed)
    checks.kind("checkpoint", checkpoint, (str, Path, type(None)), CALL)
    if progress is not None:
        checks.function("progress", progress, f"{CALL[:-1]}, progress=lambda done, loss: None)")
    known = {"shape": list(shape), "channels": channels, "seed": seed, "steps": steps}
    known |= {
        "batch": batch,
        "images": len(images),
        "sum": float(images.detach().double().abs().sum()),
    }
    path = None if checkpoint is None else Path(checkpoint)
    with torch.inference_mode(False), torch.enable_grad():
        course = Course.new(shape, channels, seed, known, images.device)
        if path is not None and path.exists():
            course.resume(path)
        elif path is not None:
            check_target("checkpoint", path, "train(images, (1, 8, 8), checkpoint='run.pt')")
        seen = images.detach().clone().float().unflatten(-1, shape)
        for loss in _steps(course, seen, batch, steps, path):
            if progress is not None:
                progress(course.done, loss)
    return Trained(course.average.eval().requires_grad_(False), *LEVELS)


def _steps(
    course: Course, images: Float[Tensor, "N C H W"], batch: int, steps: int, path: Path | None
) -> Iterator[float]:
    """The steps that are left, each with its loss; the state goes to ``path``, if there is one."""
    while course.done < steps:
        loss = _step(course, images, batch, steps)
        if path is not None and (course.done % SAVED == 0 or course.done == steps):
            course.save(path)
        yield loss


def _step(course: Course, images: Float[Tensor, "N C H W"], batch: int, steps: int) -> float:
    """One step of Adam, with a rate that rises, then falls as a cosine; and the loss."""
    falls = (1 + math.cos(math.pi * course.done / steps)) / 2
    for group in course.optimiser.param_groups:
        group["lr"] = RATE * min(1.0, (course.done + 1) / WARM) * falls
    loss = _loss(course, images, batch)
    course.optimiser.zero_grad()
    loss.backward()
    course.optimiser.step()
    course.done += 1
    share = max(1 - SLOW, 1 / (1 + course.done / 10))  # of the newest weights in the average
    with torch.no_grad():
        pairs = zip(course.average.parameters(), course.network.parameters(), strict=True)
        for average, weight in pairs:
            average.lerp_(weight, share)
    return float(loss.detach())


def _loss(course: Course, images: Float[Tensor, "N C H W"], batch: int) -> Float[Tensor, ""]:
    """The mean square error of F for some images and levels."""
    g = course.generator
    x = images[torch.randint(len(images), (batch,), generator=g, device=g.device)]
    s = (MEAN + SPREAD * torch.randn(batch, generator=g, device=g.device)).exp()
    eps = torch.randn(x.shape, generator=g, device=g.device)
    wide, root = s[:, None, None, None], (1 + s**2).sqrt()[:, None, None, None]
    answer: Tensor = course.network((x + wide * eps) / root, s.log() / 4)
    error: Tensor = (answer - (wide * x - eps) / root).square().mean()
    return error


def _check(images: Tensor, shape: tuple[int, int, int], steps: int, batch: int, seed: int) -> None:
    checks.floating("images", images, CALL)
    checks.kind("shape", shape, tuple, CALL)
    checks.shape("images", images, ("N", math.prod(shape)), CALL)
    checks.finite("images", images, CALL)
    checks.count("steps", steps, CALL)
    checks.count("batch", batch, CALL)
    checks.seed(seed, CALL)
    images = images.detach()
    size = float(images.square().mean().sqrt())
    if not 0.5 <= size <= 2 or float(images.mean(0).square().mean().sqrt()) > 0.5:
        what = "`images` must be centred and scaled, with a mean square of 1"
        call = "train(Pictures.of(images).images, (1, 8, 8))"
        raise ValueError(checks.complaint(what, f"a root mean square of {size:.3g}", call))
