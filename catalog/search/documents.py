"""Fills search documents for the rows that were there before their triggers, in batches, each a statement of its own.

Nothing is logged, and no row gets a new version: a document follows from the product.
"""

from typing import Any

# About a second of writes.
BATCH_ROWS = 2_000

NEXT = {
    "postgresql": """
        SELECT product_id FROM catalog_producttext WHERE product_id > %s AND document IS NULL
        ORDER BY product_id LIMIT %s""",
    "sqlite": "SELECT id FROM catalog_product WHERE id > %s ORDER BY id LIMIT %s",
}
WRITE = {
    # The trigger replaces the value, since the statement names the column.
    "postgresql": (
        "UPDATE catalog_producttext SET document = NULL WHERE product_id BETWEEN %s AND %s AND document IS NULL",
    ),
    "sqlite": (
        """
        INSERT INTO catalog_document (rowid, title, compounds, brand, description)
        SELECT id, tenfold_fold(sku || ' ' || title), tenfold_compounds(sku || ' ' || title), 'b' || brand_id,
            tenfold_fold(coalesce(description, ''))
        FROM catalog_product LEFT JOIN catalog_producttext ON product_id = id
        WHERE id BETWEEN %s AND %s AND NOT EXISTS (SELECT 1 FROM catalog_document WHERE rowid = id)""",
        """
        INSERT INTO catalog_parts (rowid, names, brand)
        SELECT id, tenfold_fold(sku || ' ' || title), '#' || brand_id || '#' FROM catalog_product
        WHERE id BETWEEN %s AND %s AND NOT EXISTS (SELECT 1 FROM catalog_parts WHERE rowid = id)""",
    ),
}


def fill_documents(connection: Any, batch: int = BATCH_ROWS) -> int:
    """Fill the documents that are missing, in the order of ids. Returns their number. Safe to stop and to run again."""
    filled = last = 0
    with connection.cursor() as cursor:
        while keys := find_next(cursor, connection.vendor, last, batch):
            for statement in WRITE[connection.vendor]:
                cursor.execute(statement, [keys[0], keys[-1]])
            filled, last = filled + cursor.rowcount, keys[-1]
    return filled


def find_next(cursor: Any, vendor: str, last: int, batch: int) -> list[int]:
    cursor.execute(NEXT[vendor], [last, batch])
    return [key for (key,) in cursor.fetchall()]
