"""The pictures of demo products: a SKU and a position in, an SVG out. Nothing is stored, and nothing is fetched.

A picture is made of what the SKU's number alone says of the product: its category gives the shape, its colour the
shades. So seeding writes an address and no file. About 1 ms and 1 KB each; clients keep one for a year.
"""

import colorsys
import random
from dataclasses import dataclass
from functools import lru_cache

from catalog.media.shapes import SHAPE_OF
from catalog.seeding.rows import SKU_PREFIX, make_product

# The same as in rows.py: a product has at most this many pictures.
MOST_PICTURES = 4
COLORS = {
    "Black": "#33363b", "White": "#d9d6cf", "Sand": "#cbb28a", "Charcoal": "#4a4f57", "Olive": "#7c8046",
    "Navy": "#2c4470", "Rust": "#b0522d", "Sage": "#8fa588", "Cream": "#d8c7a0", "Clay": "#b9755b",
    "Indigo": "#4b4fa5", "Mustard": "#cf9d2b", "Teal": "#2b8585", "Plum": "#77416a",
}  # fmt: skip

# How the views of words.py show the shape: whole, near, small on a floor, and turned.
VIEWS = (
    '<ellipse cx="50" cy="87" rx="34" ry="4" fill="#000" opacity=".12"/>{shape}',
    '<g transform="translate(-62 -58) scale(2.3)">{shape}</g>',
    '<path d="M0 74h100v26H0z" fill="{floor}"/><ellipse cx="50" cy="84" rx="26" ry="4" fill="#000" opacity=".15"/>'
    '<circle cx="80" cy="20" r="9" fill="#fff" opacity=".5"/>'
    '<g transform="translate(16 20) scale(.68 .74)">{shape}</g>',
    '<ellipse cx="52" cy="87" rx="26" ry="4" fill="#000" opacity=".12"/>'
    '<g transform="translate(86 0) skewY(4) scale(-.72 1) translate(0 -3)">{shape}</g>',
)
DRAWING = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100" width="800" height="800">'
    '<rect width="100" height="100" fill="{ground}"/>{view}</svg>'
)


@dataclass(frozen=True)
class Shades:
    main: str
    deep: str
    pale: str

    def paint(self, shape: str) -> str:
        for name in ("main", "deep", "pale"):
            shape = shape.replace(f'"{name}"', f'"{getattr(self, name)}"')
        return shape


# Lists show the same pictures again. About 2 MB.
@lru_cache(maxsize=1024)
def draw_picture(number: int, position: int) -> str:
    """The picture of product `number` (from 1 on) at `position` (1 to MOST_PICTURES)."""
    product = make_product(number)
    shades = make_shades(COLORS[product.columns["attributes"]["color"]])
    hue = random.Random(f"{SKU_PREFIX}{number}").random()  # noqa: S311 (a colour)
    view = VIEWS[position - 1].format(shape=shades.paint(SHAPE_OF[product.category]), floor=write_color(hue, 0.82, 0.3))
    return DRAWING.format(ground=write_color(hue, 0.93, 0.45), view=view)


def make_shades(main: str) -> Shades:
    red, green, blue = (int(main[start : start + 2], 16) / 255 for start in (1, 3, 5))
    hue, light, fill = colorsys.rgb_to_hls(red, green, blue)
    return Shades(main, write_color(hue, light * 0.62, fill), write_color(hue, light + (1 - light) * 0.55, fill))


def write_color(hue: float, light: float, fill: float) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in colorsys.hls_to_rgb(hue, light, fill))
