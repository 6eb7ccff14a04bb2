"""The client of openapi-python-client. Prints what it saw."""

import hashlib
import json
import os
import time

from tenfold_client import AuthenticatedClient
from tenfold_client.api.exports import create_export, get_export, get_export_file, get_export_manifest
from tenfold_client.api.orders import create_order
from tenfold_client.api.products import (
    bulk_write_products,
    create_product,
    get_product,
    list_products,
    update_product,
)
from tenfold_client.models import (
    ExportFormat,
    ExportRequest,
    JobStatus,
    ModeEnum,
    OrderLineRequest,
    OrderRequest,
    PatchedProductRequest,
    ProductBulkRequest,
    ProductItemRequest,
    ProductRequest,
    ResourceEnum,
)
from tenfold_client.types import UNSET

SKU = os.environ["SKU"]
client = AuthenticatedClient(base_url=os.environ["TENFOLD"], token=os.environ["TOKEN"])

skus: list[str] = []
cursor = UNSET
while True:
    page = list_products.sync(client=client, page_size=100, cursor=cursor)
    skus += [row.sku for row in page.results]
    if page.next_cursor is None:
        break
    cursor = page.next_cursor

new = ProductRequest(sku=SKU, title="Lamp", price="9.50")
made = create_product.sync(client=client, body=new)
etag = get_product.sync_detailed(made.id, client=client).headers["ETag"]
changes = (PatchedProductRequest(title=title) for title in ("Bright lamp", "Dark lamp"))
patched = [
    int(update_product.sync_detailed(made.id, client=client, body=body, if_match=etag).status_code) for body in changes
]

items = [ProductItemRequest(sku=SKU, price="8.00"), ProductItemRequest(sku=f"{SKU}-2", title="Shade", price="3.00")]
bulk = bulk_write_products.sync(client=client, body=ProductBulkRequest(mode=ModeEnum.MODE_UPSERT, items=items))

lines = OrderRequest(lines=[OrderLineRequest(sku=os.environ["STOCKED"], quantity=1)])
orders = [create_order.sync(client=client, body=lines, idempotency_key=SKU) for _ in range(2)]

wanted = ExportRequest(resource=ResourceEnum.RESOURCE_PRODUCTS, format_=ExportFormat.EXPORT_FORMAT_CSV)
job = create_export.sync(client=client, body=wanted)
while job.status not in (JobStatus.JOB_STATUS_READY, JobStatus.JOB_STATUS_FAILED):
    time.sleep(0.2)
    job = get_export.sync(job.id, client=client)
manifest = get_export_manifest.sync(job.id, client=client)
file = get_export_file.sync_detailed(job.id, client=client).content

print(
    json.dumps(
        {
            "rows": len(set(skus)),
            "patched": patched,
            "bulk": [row.status.value for row in bulk.results],
            "orders": len({order.number for order in orders}),
            "whole": hashlib.sha256(file).hexdigest() == manifest.sha256,
        }
    )
)
