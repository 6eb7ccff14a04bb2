"""Requests per second of each contestant as a bar chart (SVG), on a logarithmic scale: they differ a hundredfold."""

import math
from collections.abc import Sequence
from html import escape

WIDTH, LABEL, BAR, GAP, TOP = 760, 210, 22, 10, 44

OURS, THEIRS = "#2563eb", "#94a3b8"


def draw_chart(rates: Sequence[tuple[str, float]], title: str) -> str:
    """`rates` are names and requests per second; the first is ours."""
    height = TOP + len(rates) * (BAR + GAP) + GAP
    bars = "".join(draw_bar(place, name, rate, rates) for place, (name, rate) in enumerate(rates))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif"'
        f' font-size="13">'
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>'
        f'<text x="12" y="26" font-size="15" font-weight="bold">{escape(title)}</text>{bars}</svg>\n'
    )


def draw_bar(place: int, name: str, rate: float, rates: Sequence[tuple[str, float]]) -> str:
    y = TOP + place * (BAR + GAP)
    width = scale(rate, max(other for _, other in rates))
    text = y + BAR * 0.7
    return (
        f'<text x="{LABEL - 8}" y="{text:.0f}" text-anchor="end">{escape(name)}</text>'
        f'<rect x="{LABEL}" y="{y}" width="{width:.0f}" height="{BAR}" rx="3" fill="{THEIRS if place else OURS}"/>'
        f'<text x="{LABEL + width + 6:.0f}" y="{text:.0f}">{rate:,.0f}</text>'
    )


def scale(rate: float, greatest: float) -> float:
    """Pixels; a tenth of the rate is a fixed step shorter, one request a second has the shortest bar."""
    room = WIDTH - LABEL - 70
    return room * max(0.02, math.log10(max(rate, 1)) / math.log10(max(greatest, 10)))
