"""Reads the pieces of a row's JSON that the database keeps as text beside the row (PostgreSQL).

Nearly all of a page's time is the database's, which writes the same JSON again and again. A read serializer may say

    class Meta:
        stored = True
        stored_lists = {"images": ("image_url",)}

Then the columns of its own table, as far as they stand next to each other among the members, are kept as pieces of text
in the row itself: triggers write them, in the transaction that writes the row. They also keep each list that
`stored_lists` names. (A change of a list's rows writes it again; a change of the named columns, which are derived from
the list, does it at once, and so saves a second update of the row.) Origins are put before paths of this server when
a piece is read: 0.02 of the 0.24 ms that a plain page takes, 0.05 of 0.29 with images. What belongs to other rows is
put between the pieces when they are read: a brand's or a category's own pieces, columns of other tables, addresses. A
renamed brand changes no product.

`makemigrations` writes the triggers into a migration (catalog/changes/autodetector.py). Each row has the number of the
form that its pieces have, which is a fingerprint of the triggers' SQL. If a row has another number than the serializer
gives, the row isn't stored: the statement returns null for it, and the same page is read again, compiled column by
column. So during a rebuild, or with two releases side by side, each release reads what it would write itself.

Measured on PostgreSQL 15 for a page of 50 with brand, category and images (CPU time of the database, 200,000 products,
a busy machine, medians of 60 rounds in turn; compiled column by column is 1):

| where the pieces are | page | 1,000 prices | 1,000 new products |
| columns of the row, null where they aren't of this form | 0.37 | 1.18 | 1.20 |
| the same, without the joins of brand, category and parent | 0.12 | | |
| columns of the row, compiled SQL in the ELSE of each piece | 0.42 | 1.18 | 1.20 |
| a table 1:1 beside the row, written by statement triggers | 0.47 | 1.10 | 1.15 |

On a quieter machine the first row's page takes 0.33, a page without `expand` 0.57, an NDJSON export 0.43 (0.23 with
`expand`). Through the API of a busy machine, writers have 0.90 times the rows a second where products are new, 1.0
where they change, and 0.89 of prices. Images come after their product, so a new product with images is written twice.
Of the 0.14 ms of CPU that the second time takes, 0.08 go to the 16 indexes, and 0.04 to the list.

The columns make a product of 300 bytes one of 1,000, and all tables of the catalogue 1.28 times as big (1.38 with the
table beside). A change of a price moves `updated_at`, which is indexed, so it never was a HOT update. SQLite has no
trigger that sets a value before a row is written: each write would become two. There reads stay compiled.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from django.db import connections
from django.db.models import QuerySet
from django.urls import get_resolver
from rest_framework.relations import HyperlinkedIdentityField, SlugRelatedField
from rest_framework.serializers import JSONField, ListSerializer, ModelSerializer

from config.api.database.storing import FORM, StoredForm
from config.api.reads import projection
from config.api.reads.columns import NotCompilable, find_column, find_kind, find_reverse
from config.api.reads.dialects import DIALECTS
from config.api.reads.projection import COLUMN, Compiler, Projection, RowJson, quote_name, quote_text
from config.api.reads.selections import ReadSerializer, Selection, build_selection, find_fields, find_model, find_nested

STORING = "postgresql"
# Fewer members aren't worth a column of their own.
LEAST_MEMBERS = 2
# An expression with such a word reads other rows, the clock or the session, so its value changes without the row.
OF_OTHERS = re.compile(r"\b(select|now|age|\w+_timestamp|current_\w+|random|timeofday)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Piece:
    """A piece of the row's JSON in the column `column`. `names` are its members; a list is one member, without its key.

    `follows` are the columns of the row whose change writes it again.
    """

    column: str
    names: tuple[str, ...]
    follows: tuple[str, ...]
    is_list: bool = False


@cache
def find_pieces(serializer: ReadSerializer) -> tuple[Piece, ...]:
    """The pieces of a serializer's rows, in the order of its members. Empty if it isn't stored."""
    if not is_stored(serializer):
        return ()
    lists = getattr(serializer.Meta, "stored_lists", {})
    groups: list[tuple[str, ...]] = [()]
    for name in find_fields(serializer):
        if name in lists:
            groups += [(name,), ()]
        elif is_own(serializer, name):
            groups[-1] += (name,)
        else:
            groups.append(())
    kept = [group for group in groups if len(group) >= LEAST_MEMBERS or set(group) & set(lists)]
    return tuple(make_piece(serializer, group, f"stored_{number}", lists) for number, group in enumerate(kept, start=1))


def make_piece(
    serializer: ReadSerializer, names: tuple[str, ...], column: str, lists: Mapping[str, Sequence[str]]
) -> Piece:
    model = find_model(serializer)
    if names[0] in lists:
        follows = tuple(find_column(model, name).column for name in lists[names[0]])
        return Piece(column, names, follows, is_list=True)
    sources = [str(find_fields(serializer)[name].source) for name in names]
    return Piece(column, names, tuple(find_column(model, source).column for source in sources))


def is_own(serializer: ReadSerializer, name: str) -> bool:
    """Whether a member shows a column of the row alone."""
    member: Any = find_fields(serializer)[name]
    if isinstance(member, ListSerializer | HyperlinkedIdentityField | SlugRelatedField) or find_nested(member):
        return False
    try:
        find_column(find_model(serializer), str(member.source))
    except NotCompilable:
        return False
    return not OF_OTHERS.search(getattr(member, "database_expression", ""))


def list_stored() -> list[ReadSerializer]:
    """All stored serializers."""
    _ = get_resolver().url_patterns  # imports all views, and so all serializers
    return [serializer for serializer in list_below(ModelSerializer) if is_stored(serializer)]


def is_stored(serializer: ReadSerializer) -> bool:
    # A subclass says it itself: by the Meta that it inherits, it would claim the same columns.
    return bool(vars(vars(serializer).get("Meta", object)).get("stored", False))


def list_below(kind: Any) -> Iterator[Any]:
    for below in kind.__subclasses__():
        yield below
        yield from list_below(below)


# -- the triggers ------------------------------------------------------------------------------------------------

WRITE_ROW = """
DECLARE
    is_asked boolean := TG_OP = 'INSERT' OR NEW.{form} IS DISTINCT FROM {number}
        OR OLD.{form} IS DISTINCT FROM {number};
    has_list boolean;
BEGIN
    {pieces}
    NEW.{form} := {number};
    RETURN NEW;
END """

WRITE_PIECE = """IF is_asked{differs} THEN
        NEW.{column} := {sql};
    ELSE
        NEW.{column} := OLD.{column};
    END IF;"""

# A new row has no list, but where its rows were written before it. To look for one costs a third of writing the list.
# Null asks for this list only. With all pieces, the images of 1,000 new products took 161 ms of CPU instead of 134.
WRITE_LIST = """IF TG_OP = 'INSERT' THEN
        has_list := EXISTS (SELECT FROM {listed} WHERE {link} = NEW.{key});
    ELSE
        has_list := is_asked OR NEW.{column} IS NULL{differs};
    END IF;
    IF has_list THEN
        NEW.{column} := {sql};
    ELSE
        NEW.{column} := coalesce(OLD.{column}, '[]');
    END IF;"""

# The rows are locked first, in the order of their keys, as by the triggers that derive columns. Then what others have
# committed meanwhile is seen. A list that was empty before an INSERT isn't written a second time to be compared.
WRITE_LISTS = """
DECLARE
    keys {kind}[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        keys := ARRAY(SELECT DISTINCT {link} FROM new_rows);
    ELSIF TG_OP = 'DELETE' THEN
        keys := ARRAY(SELECT DISTINCT {link} FROM old_rows);
    ELSIF TG_OP = 'UPDATE' THEN
        keys := ARRAY(SELECT {link} FROM old_rows UNION SELECT {link} FROM new_rows);
    ELSE
        UPDATE {table} o SET {column} = NULL WHERE {column} IS DISTINCT FROM {sql};
        RETURN NULL;
    END IF;
    PERFORM FROM {table} WHERE {key} = ANY (keys) ORDER BY {key} FOR NO KEY UPDATE;
    UPDATE {table} o SET {column} = NULL
    WHERE {key} = ANY (keys) AND (TG_OP = 'INSERT' AND {column} = '[]' OR {column} IS DISTINCT FROM {sql});
    RETURN NULL;
END """

FIRES = {
    "insert": "AFTER INSERT ON {} REFERENCING NEW TABLE AS new_rows",
    "update": "AFTER UPDATE ON {} REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "delete": "AFTER DELETE ON {} REFERENCING OLD TABLE AS old_rows",
    "truncate": "AFTER TRUNCATE ON {}",
}

# Types for arrays of keys, by kind of column.
KINDS = {"number": "bigint", "uuid": "uuid", "text": "text"}


@cache
def find_form(serializer: ReadSerializer) -> StoredForm | None:
    """The form in which the serializer's rows are stored; None if they aren't."""
    pieces, table = find_pieces(serializer), find_model(serializer)._meta.db_table
    if not pieces:
        return None
    lists = [WrittenList(serializer, piece) for piece in pieces if piece.is_list]
    create = [statement for each in lists for statement in each.list_statements()]
    text = "\n".join([write_row(serializer, 0), *create])
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) >> 1
    function = f"stored_{table}"
    create += [
        f"CREATE FUNCTION {quote_name(function)}() RETURNS trigger LANGUAGE plpgsql"
        f" AS $stored${write_row(serializer, number)}$stored$",
        # After the triggers that set other columns: they fire in the order of their names.
        f"CREATE TRIGGER stored_row BEFORE INSERT OR UPDATE ON {quote_name(table)}"
        f" FOR EACH ROW EXECUTE FUNCTION {quote_name(function)}()",
    ]
    functions = [function, *(each.function for each in lists)]
    return StoredForm(
        number=number,
        table=table,
        columns=tuple(piece.column for piece in pieces),
        beside=tuple(sorted({each.table for each in lists})),
        create=tuple(create),
        drop=tuple(f"DROP FUNCTION {quote_name(name)}() CASCADE" for name in functions),
    )


def write_row(serializer: ReadSerializer, number: int) -> str:
    """The body of the function that writes the pieces of a row."""
    pieces = "\n    ".join(write_piece(serializer, piece) for piece in find_pieces(serializer))
    return WRITE_ROW.format(form=FORM, number=number, pieces=pieces)


def write_piece(serializer: ReadSerializer, piece: Piece) -> str:
    columns = {column.column: column for column in find_model(serializer)._meta.concrete_fields}
    differs = "".join(f" OR {compare(columns[name])}" for name in piece.follows)
    names = {"differs": differs, "column": piece.column, "sql": write_text(serializer, piece, "NEW")}
    return WRITE_LIST.format(**names, **name_list(serializer, piece)) if piece.is_list else WRITE_PIECE.format(**names)


def name_list(serializer: ReadSerializer, piece: Piece) -> dict[str, str]:
    key = WrittenList(serializer, piece).key
    names = {"listed": key.model._meta.db_table, "link": key.column, "key": key.target_field.column}
    return {word: quote_name(name) for word, name in names.items()}


def compare(column: Any) -> str:
    """SQL: whether the column's text differs."""
    new, old = (f"{row}.{quote_name(column.column)}" for row in ("NEW", "OLD"))
    # JSON is compared by its bytes: 1 and 1.0 are equal, and their texts differ. So are texts of some collations.
    if find_kind(column) == "json" or getattr(column, "db_collation", None):
        return f"ROW({new})::record *<> ROW({old})::record"
    return f"{new} IS DISTINCT FROM {old}"


def write_text(serializer: ReadSerializer, piece: Piece, row: str) -> str:
    """SQL that writes a piece from the columns of `row`."""
    compiler = Compiler(DIALECTS[STORING], has_origins=False)
    selection = build_selection(serializer, frozenset(piece.names) if piece.is_list else frozenset())
    if piece.is_list:
        sql = compiler.write_member(serializer, selection, piece.names[0], row)
    else:
        parts = [part for pair in compiler.write_members(serializer, Selection(piece.names), row) for part in pair]
        keys = [quote_text(f",{key}" if number else key) for number, key in enumerate(parts[::2])]
        sql = compiler.dialect.join([part for pair in zip(keys, parts[1::2], strict=True) for part in pair])
    if compiler.paths:
        raise NotCompilable(f"{serializer.__name__}.{piece.names[0]} has addresses, which can't be stored")
    return sql.replace("%%", "%")


@dataclass(frozen=True)
class WrittenList:
    """A list in a row's pieces, and the triggers of the table that its rows are in."""

    serializer: ReadSerializer
    piece: Piece

    @property
    def key(self) -> Any:
        """The foreign key from the list's rows to the row."""
        member = find_fields(self.serializer)[self.piece.names[0]]
        return find_reverse(find_model(self.serializer), str(member.source)).field

    @property
    def table(self) -> str:
        return str(self.key.model._meta.db_table)

    @property
    def function(self) -> str:
        return f"stored_{find_model(self.serializer)._meta.db_table}__{self.piece.names[0]}"

    def list_statements(self) -> Iterator[str]:
        body = WRITE_LISTS.format(
            kind=KINDS[find_kind(self.key)],
            **name_list(self.serializer, self.piece),
            table=quote_name(find_model(self.serializer)._meta.db_table),
            form=FORM,
            column=self.piece.column,
            sql=write_text(self.serializer, self.piece, "o"),
        )
        yield (
            # As in the functions that derive columns: an array as parameter would be planned for at each call,
            # and for a sequential scan while the table is small.
            f"CREATE FUNCTION {quote_name(self.function)}() RETURNS trigger LANGUAGE plpgsql"
            f" SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $stored${body}$stored$"
        )
        for name, when in FIRES.items():
            yield (
                f"CREATE TRIGGER {quote_name(f'{self.function}_{name}')} {when.format(quote_name(self.table))}"
                f" FOR EACH STATEMENT EXECUTE FUNCTION {quote_name(self.function)}()"
            )


# -- reading -----------------------------------------------------------------------------------------------------


class StoredJson(RowJson):
    """A RowJson that is null for a row that isn't stored in the serializer's form. `compiled` is never null."""

    def __init__(self, stored: RowJson, names: Mapping[str, str], compiled: RowJson) -> None:
        super().__init__(stored.sql, names, stored.parameters)
        self.in_columns = compiled

    @property
    def compiled(self) -> RowJson:
        plain = self.copy()
        plain.sql, plain.parameters = self.in_columns.sql, self.in_columns.parameters
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
    expression = StoredJson(stored.bind(origin), stored.columns, compiled.bind(origin))
    return rows.annotate(**{COLUMN: expression}).values_list(COLUMN, *beside)


@lru_cache(maxsize=512)
def compile_stored(serializer: ReadSerializer, selection: Selection, vendor: str) -> Projection | None:
    """The projection that reads pieces; None if the selection has none, or if the database keeps none."""
    if vendor != STORING:
        return None
    compiler = StoredCompiler(DIALECTS[vendor])
    sql = compiler.write_object(serializer, selection, compiler.begin(serializer))
    return Projection(sql, compiler.columns, tuple(compiler.paths)) if compiler.has_stored else None
