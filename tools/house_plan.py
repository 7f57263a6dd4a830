"""Where each box and each arrow of the house stands, and the picture of it.

Arrows to one room share a lane past the floors between. A lane is a box without a face. Boxes and
lanes move towards what they are joined to, again and again, and never overlap.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from textwrap import wrap
from xml.sax.saxutils import escape

WIDTH, SIDE, GAP = 900, 44, 16  # of the picture, beside the rooms, between two rooms
ROOF, BETWEEN, PAD = 70, 30, 8  # heights: of the roof, between two floors, inside a box
WIDEST, NARROWEST, LANE, EDGE = 540, 128, 6, 16
SWEEPS, STRAIGHT = 150, 20  # a lane is bent as little as can be
SIZES = {"name": (15, 9.6), "says": (12, 6.7), "files": (11, 6.4)}  # of letters: height, width
LINES = {"name": 19, "says": 15, "files": 14}
INK, QUIET, LINE, BAND, ALARM = "#102a43", "#40566b", "#52708c", "#eef3f8", "#c2410c"
CAPTION = (
    "An arrow says: imports from. Left out are the arrows that follow from others, and those",
    "to the ground floor, which is open to all. Dashed: private to the rooms that have an arrow.",
)
STYLE = f"""
text {{ font-family: Helvetica, Arial, 'DejaVu Sans', sans-serif; fill: {INK}; }}
.name {{ font-size: 15px; font-weight: bold; text-anchor: middle; }}
.says {{ font-size: 12px; text-anchor: middle; }}
.files {{ font-size: 11px; text-anchor: middle; fill: {QUIET}; }}
.quiet {{ font-size: 12px; fill: {QUIET}; }}
.room {{ fill: #ffffff; stroke: {INK}; stroke-width: 1.4; }}
.private {{ stroke: {ALARM}; stroke-dasharray: 6 4; }}
.arrow {{ fill: none; stroke: {LINE}; stroke-width: 1.6; }}
.head {{ fill: {LINE}; }}
.roof {{ fill: {BAND}; stroke: {INK}; }}
.climbs {{ stroke: {ALARM}; stroke-width: 3; }}
"""

Node = tuple[str, int]  # a room, or the lane to it, on one floor


@dataclass(frozen=True)
class Room:
    """A folder of files, or one file; ``private`` to those whom the contract lets in."""

    name: str
    says: str
    files: tuple[str, ...] = ()
    private: bool = False

    @property
    def texts(self) -> dict[str, str]:
        """What stands in its box, by the kind of letters."""
        title = f"{self.name}/" if self.files else f"{self.name}.py"
        return {"name": title, "says": self.says, "files": " · ".join(self.files)}

    @property
    def width(self) -> float:
        """What its longest line needs."""
        longest = max(len(text) * SIZES[kind][1] for kind, text in self.texts.items())
        return min(WIDEST, max(NARROWEST, longest + 2 * PAD + 1))

    def lines(self, width: float) -> list[tuple[str, str]]:
        """Its words as (kind, line), for a box of this width."""
        fits = {kind: int((width - 2 * PAD) / SIZES[kind][1]) for kind in SIZES}
        texts = self.texts.items()
        return [(kind, line) for kind, text in texts for line in wrap(text, fits[kind])]


@dataclass(frozen=True)
class House:
    """The rooms by floor, highest first, and from which other rooms each imports."""

    floors: tuple[tuple[Room, ...], ...]
    imports: Mapping[str, frozenset[str]]

    @cached_property
    def floor(self) -> dict[str, int]:
        """On which floor, counted from the top, a room stands."""
        return {room.name: i for i, rooms in enumerate(self.floors) for room in rooms}

    @property
    def arrows(self) -> list[tuple[str, str]]:
        """The imports that do not follow from others, but for those to the ground floor."""
        ground = len(self.floors) - 1
        pairs = [(a, b) for a in self.floor for b in sorted(self.imports[a])]
        pairs = [(a, b) for a, b in pairs if self.floor[b] < ground]
        return [(a, b) for a, b in pairs if not any(b in self.needs(c) for c in self.imports[a])]

    def needs(self, room: str) -> set[str]:
        """The rooms that this one imports from, directly or through others."""
        found, fresh = set[str](), set(self.imports[room])
        while fresh:
            found |= fresh
            fresh = {b for a in fresh for b in self.imports[a]} - found
        return found

    def path(self, a: str, b: str) -> list[Node]:
        """From room a down to room b: past each floor between in the lane of b."""
        return [(a, self.floor[a]), *((b, i) for i in range(self.floor[a] + 1, self.floor[b] + 1))]


@dataclass(frozen=True)
class Plan:
    """How wide each node is and where its middle stands; where each floor begins and ends."""

    house: House

    @cached_property
    def paths(self) -> list[list[Node]]:
        """The way of each arrow that goes down, as all should."""
        floor = self.house.floor
        return [self.house.path(a, b) for a, b in self.house.arrows if floor[a] < floor[b]]

    @cached_property
    def nodes(self) -> list[list[Node]]:
        """What stands on each floor: rooms, then lanes."""
        rooms = [[(room.name, i) for room in rooms] for i, rooms in enumerate(self.house.floors)]
        lanes = dict.fromkeys(node for path in self.paths for node in path[1:-1])
        return [[*row, *(lane for lane in lanes if lane[1] == i)] for i, row in enumerate(rooms)]

    @cached_property
    def joined(self) -> dict[Node, set[Node]]:
        """What each node is joined to, on the floors above and below."""
        pairs = {pair for path in self.paths for pair in pairwise(path)}
        both = pairs | {(b, a) for a, b in pairs}
        return {node: {b for a, b in both if a == node} for row in self.nodes for node in row}

    @cached_property
    def width(self) -> dict[Node, float]:
        """Rooms as wide as their words, if the floor has the place; those of the ground fill it."""
        widths: dict[Node, float] = {}
        for i, (rooms, row) in enumerate(zip(self.house.floors, self.nodes, strict=True)):
            lanes = (len(row) - len(rooms)) * (LANE + GAP)
            share = (WIDTH - 2 * SIDE - lanes + GAP) / len(rooms) - GAP
            ground = i == len(self.nodes) - 1
            widths |= dict.fromkeys(row, LANE)
            widths |= {(r.name, i): share if ground else min(share, r.width) for r in rooms}
        return widths

    @cached_property
    def x(self) -> dict[Node, float]:
        """The middle of each node: near the mean of what it is joined to."""
        x = {node: WIDTH / 2 for row in self.nodes for node in row}
        for row in self.nodes:
            x |= self.packed(row, [WIDTH * (i + 0.5) / len(row) for i in range(len(row))])
        for row in [*self.nodes, *reversed(self.nodes)] * SWEEPS:
            x |= self.packed(row, [self.wanted(a, x) for a in row])
        for i, row in enumerate(self.nodes):
            x |= {lane: x[lane[0], i - 1] for lane in row if self.straight(lane, row, x)}
        return x

    def straight(self, lane: Node, row: Sequence[Node], x: Mapping[Node, float]) -> bool:
        """Whether a lane can run on from the floor above, and leave its neighbours alone."""
        above = (lane[0], lane[1] - 1)
        if not self.is_lane(lane) or above not in x:
            return False
        others = [(x[b], (self.width[b] + LANE + GAP) / 2) for b in row if b != lane]
        return all(
            (x[above] - middle) * (x[lane] - middle) > 0 and abs(x[above] - middle) >= far
            for middle, far in others
        )

    def is_lane(self, node: Node) -> bool:
        return node[1] != self.house.floor[node[0]]

    def wanted(self, node: Node, x: Mapping[Node, float]) -> float:
        """The mean of what a node is joined to; between two parts of a lane it is a stiff one."""
        lane = self.is_lane(node)
        weights = {b: STRAIGHT if lane and b[0] == node[0] else 1 for b in self.joined[node]}
        total = sum(weights.values())
        return sum(x[b] * weight for b, weight in weights.items()) / total if total else x[node]

    def packed(self, row: Sequence[Node], wanted: Sequence[float]) -> dict[Node, float]:
        """The places nearest to those wanted at which nothing overlaps, in their order."""
        order = sorted(range(len(row)), key=lambda i: (round(wanted[i], 6), i))
        half = [self.width[row[i]] / 2 for i in order]
        steps = [0.0, *(a + GAP + b for a, b in pairwise(half))]
        offsets = list(accumulate(steps))
        low, high = SIDE + half[0], WIDTH - SIDE - half[-1] - offsets[-1]
        stiff = [STRAIGHT if self.is_lane(row[i]) else 1 for i in order]
        free = rising([wanted[i] - o for i, o in zip(order, offsets, strict=True)], stiff)
        places = [min(max(z, low), high) + o for z, o in zip(free, offsets, strict=True)]
        return {row[i]: place for i, place in zip(order, places, strict=True)}

    @cached_property
    def edges(self) -> list[tuple[float, float]]:
        """The upper and the lower edge of each floor."""
        heights = []
        for i, rooms in enumerate(self.house.floors):
            lines = [room.lines(self.width[room.name, i]) for room in rooms]
            heights.append(max(sum(LINES[kind] for kind, _ in line) for line in lines) + 2 * PAD)
        ends = list(accumulate(h + BETWEEN for h in heights))
        start = ROOF - BETWEEN / 2
        return [(start + end - h, start + end) for end, h in zip(ends, heights, strict=True)]

    def port(self, node: Node, other: Node) -> float:
        """Where an arrow to or from ``other`` touches a node: above or below it, if it can."""
        (low, high), (left, right) = self.reach(node), self.reach(other)
        return min(max((max(low, left) + min(high, right)) / 2, low), high)

    def reach(self, node: Node) -> tuple[float, float]:
        """Between what an arrow may touch it."""
        half = max(0.0, self.width[node] / 2 - EDGE)
        return self.x[node] - half, self.x[node] + half


def rising(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The nearest sequence that never falls: neighbours that do are put at their mean."""
    blocks: list[tuple[float, float, int]] = []  # the mean, the weight, and of how many
    for value, weight in zip(values, weights, strict=True):
        blocks.append((value, weight, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, u, m), (b, v, n) = blocks[-2:]
            blocks[-2:] = [((u * a + v * b) / (u + v), u + v, m + n)]
    return [value for value, _, count in blocks for _ in range(count)]


def draw(house: House) -> str:
    """The picture, as the text of an SVG file: the same for the same house."""
    plan = Plan(house)
    height = plan.edges[-1][1] + 62
    parts = [*shell(plan), *arrows(plan), *rooms(plan), *caption(plan)]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img">'
    marker = (
        '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
        'markerHeight="7" orient="auto"><path class="head" d="M0 0.5 L10 5 L0 9.5 z"/></marker>'
        "</defs>"
    )
    title = "<title>The rooms of fsps_lite on their floors, and what imports what</title>"
    return "\n".join([head, title, f"<style>{STYLE}</style>", marker, *parts, "</svg>", ""])


def shell(plan: Plan) -> Iterator[str]:
    """The paper, the roof, and a band for each floor with its number; the ground floor is 0."""
    yield f'<rect width="{WIDTH}" height="{plan.edges[-1][1] + 62:.0f}" fill="#ffffff"/>'
    yield f'<path class="roof" d="M6 {ROOF} L{WIDTH / 2:.0f} 8 L{WIDTH - 6} {ROOF} z"/>'
    yield text("name", WIDTH / 2, ROOF - 20, "fsps_lite")
    for i, (top, bottom) in enumerate(plan.edges):
        y, size = top - BETWEEN / 2 + 3, bottom - top + BETWEEN - 6
        yield f'<rect x="6" y="{y:.0f}" width="{WIDTH - 12}" height="{size:.0f}" fill="{BAND}"/>'
        yield text("quiet", 16, (top + bottom) / 2 + 4, str(len(plan.edges) - 1 - i))


def rooms(plan: Plan) -> Iterator[str]:
    """A box for each room, with its words."""
    for i, row in enumerate(plan.house.floors):
        top, bottom = plan.edges[i]
        for room in row:
            x, width = plan.x[room.name, i], plan.width[room.name, i]
            kind = "room private" if room.private else "room"
            place = f'x="{x - width / 2:.1f}" y="{top:.1f}" width="{width:.1f}"'
            yield f'<rect class="{kind}" {place} height="{bottom - top:.1f}" rx="6"/>'
            yield from words(room.lines(width), x, (top + bottom) / 2)


def words(lines: Sequence[tuple[str, str]], x: float, middle: float) -> Iterator[str]:
    """Lines of text, one below the other, around this point."""
    y = middle - sum(LINES[kind] for kind, _ in lines) / 2
    for kind, line in lines:
        y += LINES[kind]
        yield text(kind, x, y - 4, line)


def arrows(plan: Plan) -> Iterator[str]:
    """Each import that does not follow from others; one that climbs is thick, and breaks a law."""
    for path in plan.paths:
        way = " ".join(part for pair in pairwise(path) for part in stretch(plan, *pair))
        yield f'<path class="arrow" d="{way}" marker-end="url(#head)"/>'
    floor = plan.house.floor
    for a, b in plan.house.arrows:
        if floor[a] >= floor[b]:
            (x, y), (u, v) = ((plan.x[n, floor[n]], sum(plan.edges[floor[n]]) / 2) for n in (a, b))
            yield f'<path class="arrow climbs" d="M{x:.1f} {y:.1f} L{u:.1f} {v:.1f}"/>'


def stretch(plan: Plan, a: Node, b: Node) -> Iterator[str]:
    """From one floor to the next, and through it where ``b`` is a lane."""
    start, end = plan.port(a, b), plan.port(b, a)
    (_, y), (v, through) = plan.edges[a[1]], plan.edges[b[1]]
    bend = (y + v) / 2
    yield f"M{start:.1f} {y:.1f} C{start:.1f} {bend:.1f} {end:.1f} {bend:.1f} {end:.1f} {v:.1f}"
    if plan.is_lane(b):
        yield f"L{end:.1f} {through:.1f}"


def caption(plan: Plan) -> Iterator[str]:
    for i, line in enumerate(CAPTION):
        yield text("quiet", 16, plan.edges[-1][1] + 34 + 17 * i, line)


def text(kind: str, x: float, y: float, line: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(line)}</text>'
