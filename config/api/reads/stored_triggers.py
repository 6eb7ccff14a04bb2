"""The pieces of a serializer in, the SQL of the triggers out that keep them with every writer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from config.api.database.storing import FIRES, FORM, StoredForm
from config.api.reads.columns import NotCompilable, find_kind, find_reverse
from config.api.reads.dialects import DIALECTS
from config.api.reads.projection import Compiler, quote_name, quote_text
from config.api.reads.selections import ReadSerializer, Selection, build_selection, find_fields, find_model
from config.api.reads.stored_pieces import STORING, Piece, find_pieces
from config.api.reads.text_states import list_statements

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
    created, dropped = list_statements(serializer)
    functions = [function, *(each.function for each in lists)]
    return StoredForm(
        number=number,
        table=table,
        columns=tuple(piece.column for piece in pieces),
        beside=tuple(sorted({each.table for each in lists})),
        create=(*create, *created),
        drop=(*(f"DROP FUNCTION {quote_name(name)}() CASCADE" for name in functions), *dropped),
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
