"""Puts the stored pieces of rows together where the selection allows, and compiles the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from django.db import connections
from django.db.models import Model, QuerySet
from rest_framework.serializers import JSONField, ListSerializer

from config.api.database.storing import FORM
from config.api.reads import projection
from config.api.reads.columns import find_key
from config.api.reads.dialects import DIALECTS
from config.api.reads.kept_texts import Gaps, Related, find_related, write_gap, write_states
from config.api.reads.projection import COLUMN, Compiler, Projection, RowJson, quote_name
from config.api.reads.selections import ReadSerializer, Selection, build_selection, find_fields, find_nested
from config.api.reads.stored_pieces import STORING, Piece, find_pieces
from config.api.reads.stored_triggers import find_form
from config.api.reads.text_states import is_kept


class StoredJson(RowJson):
    """A RowJson that is null for a row that isn't stored in the serializer's form. `compiled` is never null."""

    def __init__(
        self,
        stored: RowJson,
        names: Mapping[str, str],
        compiled: RowJson,
        gaps: Gaps | None = None,
        with_gaps: RowJson | None = None,
    ) -> None:
        super().__init__(stored.sql, names, stored.parameters)
        self.in_columns, self.paths, self.gaps, self.with_gaps = compiled, tuple(names.values()), gaps, with_gaps

    @property
    def compiled(self) -> RowJson:
        plain = self.copy()
        plain.sql, plain.parameters = self.in_columns.sql, self.in_columns.parameters
        return plain

    @property
    def gapped(self) -> RowJson:
        """The rows with `gaps`, which join fewer tables."""
        assert self.gaps
        assert self.with_gaps
        joined = dict(zip(self.paths, self.columns, strict=True))
        plain = self.copy()
        plain.sql, plain.names, plain.parameters = self.with_gaps.sql, self.with_gaps.names, self.with_gaps.parameters
        plain.columns = [joined[path] for path in self.gaps.projection.columns.values()]
        return plain


class StoredCompiler(Compiler):
    """Puts pieces together where the selection has all their members, and compiles the others.

    Only rows that Django joins: in a list, a null row would get lost. `||` of a null is null, unlike concat().
    """

    has_stored = False

    def write_object(self, serializer: ReadSerializer, selection: Selection, table: str) -> str:
        sql = super().write_object(serializer, selection, table)
        form = find_form(serializer) if table in self.joined else None
        if form is None or not any(find_run(serializer, selection, place) for place in range(len(selection.names))):
            return sql
        self.has_stored = True
        return f"CASE WHEN {table}.{FORM} = {form.number} THEN {sql} END"

    def join_parts(self, parts: Sequence[str], table: str) -> str:
        return f"({' || '.join(parts)})" if table in self.joined else super().join_parts(parts, table)

    def write_members(self, serializer: ReadSerializer, selection: Selection, table: str) -> Iterator[tuple[str, str]]:
        place = 0
        while place < len(selection.names):
            piece = find_run(serializer, selection, place) if table in self.joined else None
            if piece is None:
                rest = Selection(selection.names[place : place + 1], selection.expanded)
                yield from super().write_members(serializer, rest, table)
                place += 1
            else:
                text = f"{table}.{piece.column}"
                for before, path in find_own_paths(serializer, piece.names):
                    text = self.insert_origin(text, before, path)
                yield f'"{piece.names[0]}":' if piece.is_list else "", text
                place += len(piece.names)


class GappingCompiler(StoredCompiler):
    """Leaves a gap for each row that the server knows (kept_texts.py)."""

    def __init__(self) -> None:
        super().__init__(DIALECTS[STORING])
        self.related: list[Related] = []

    def write_nested(
        self, model: type[Model], member: Any, nested: ReadSerializer, below: Selection, table: str
    ) -> str:
        gap = self.leave_gap(model, member, nested, below, table)
        return gap or super().write_nested(model, member, nested, below, table)

    def write_slug(self, model: type[Model], member: Any, slug: str, table: str) -> str:
        nested = find_nested(member)
        gap = self.leave_gap(model, member, nested, None, table) if nested else None
        return gap or super().write_slug(model, member, slug, table)

    def leave_gap(
        self, model: type[Model], member: Any, nested: ReadSerializer, below: Selection | None, table: str
    ) -> str | None:
        """SQL of a gap in a row of the page; None where a row must be joined."""
        if self.joined.get(table) != "" or not is_kept(nested):
            return None
        key, related = find_key(model, member.source), find_related(nested, below, member)
        if related is None or not key.target_field.primary_key:
            return None
        self.related.append(related)
        return write_gap(f"{table}.{quote_name(key.column)}")


def find_own_paths(serializer: ReadSerializer, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What may stand in a piece with these members: a path's beginning, behind the text before its quotation mark.

    Neither is ever within a string, where a quotation mark has a backslash before it. The blank is jsonb's:
    nothing tells of which JSON column it is, so a column with paths must be the only one of its piece.
    """
    for name in names:
        member = find_fields(serializer)[name]
        if isinstance(member, ListSerializer):
            nested = find_nested(member)
            assert nested is not None  # a list in a piece has rows
            yield from find_own_paths(nested, tuple(find_fields(nested)))
        for path in getattr(member, "own_paths", ()):
            yield (": " if isinstance(member, JSONField) else f'"{name}":'), path


def find_run(serializer: ReadSerializer, selection: Selection, place: int) -> Piece | None:
    """The piece that has the next members of the selection, from `place` on, as the selection wants them."""
    for piece in find_pieces(serializer):
        if selection.names[place : place + len(piece.names)] == piece.names:
            return piece if not piece.is_list or is_usual(serializer, selection, piece.names[0]) else None
    return None


def is_usual(serializer: ReadSerializer, selection: Selection, name: str) -> bool:
    """Whether the rows of the list `name` are shown as they are stored: without more expansions."""
    return selection.find(name) == build_selection(serializer, frozenset({name})).find(name)


def select_json(
    rows: QuerySet[Any], serializer: ReadSerializer, selection: Selection, origin: str, beside: Sequence[str] = ()
) -> QuerySet[Any]:
    """As projection.select_json, but null for rows that aren't stored, as far as there are pieces to read.

    `choose_compiled` (config/api/database/statements.py) gives the same rows without nulls.
    """
    vendor = connections[rows.db].vendor
    stored = compile_stored(serializer, selection, vendor)
    if stored is None:
        return projection.select_json(rows, serializer, selection, origin, beside)
    compiled = projection.compile_projection(serializer, selection, vendor)
    # The same tables are joined, in the same order.
    assert stored.columns == compiled.columns
    gaps = compile_gaps(serializer, selection)
    with_gaps = gaps.projection.bind(origin) if gaps else None
    expression = StoredJson(stored.bind(origin), stored.columns, compiled.bind(origin), gaps, with_gaps)
    return rows.annotate(**{COLUMN: expression}).values_list(COLUMN, *beside)


@lru_cache(maxsize=512)
def compile_stored(serializer: ReadSerializer, selection: Selection, vendor: str) -> Projection | None:
    """The projection that reads pieces; None if the selection has none, or if the database keeps none."""
    if vendor != STORING:
        return None
    compiler = StoredCompiler(DIALECTS[vendor])
    sql = compiler.write_object(serializer, selection, compiler.begin(serializer))
    return Projection(sql, compiler.columns, tuple(compiler.paths)) if compiler.has_stored else None


@lru_cache(maxsize=512)
def compile_gaps(serializer: ReadSerializer, selection: Selection) -> Gaps | None:
    """The projection of pieces that leaves gaps; None if it would have none."""
    compiler = GappingCompiler()
    row = compiler.write_object(serializer, selection, compiler.begin(serializer))
    if not compiler.related:
        return None
    projection = Projection(f"({write_states(compiler.related)} || {row})", compiler.columns, tuple(compiler.paths))
    return Gaps(projection, tuple(compiler.related))
