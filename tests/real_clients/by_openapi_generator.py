"""The Python client of openapi-generator. Prints what it saw."""

import hashlib
import json
import os
import time

from openapi_client import (
    ApiClient,
    ApiException,
    Configuration,
    ExportRequest,
    ExportsApi,
    OrderRequest,
    OrdersApi,
    PatchedProductRequest,
    ProductBulkRequest,
    ProductRequest,
    ProductsApi,
)

SKU = os.environ["SKU"]
client = ApiClient(Configuration(host=os.environ["TENFOLD"], access_token=os.environ["TOKEN"]))
products, exports = ProductsApi(client), ExportsApi(client)

skus: list[str] = []
cursor = None
while True:
    page = products.list_products(page_size=100, cursor=cursor)
    skus += [row.sku for row in page.results]
    cursor = page.next_cursor
    if cursor is None:
        break

made = products.create_product(ProductRequest(sku=SKU, title="Lamp", price="9.50"))
headers = products.get_product_with_http_info(made.id).headers
etag = next(value for name, value in headers.items() if name.lower() == "etag")
patched = []
for title in ("Bright lamp", "Dark lamp"):
    try:
        body = PatchedProductRequest(title=title)
        answer = products.update_product_with_http_info(made.id, if_match=etag, patched_product_request=body)
        patched.append(answer.status_code)
    except ApiException as error:
        patched.append(error.status)

items = [{"sku": SKU, "price": "8.00"}, {"sku": f"{SKU}-2", "title": "Shade", "price": "3.00"}]
bulk = products.bulk_write_products(ProductBulkRequest.from_dict({"mode": "upsert", "items": items}))

lines = OrderRequest.from_dict({"lines": [{"sku": os.environ["STOCKED"], "quantity": 1}]})
orders = [OrdersApi(client).create_order(lines, idempotency_key=SKU) for _ in range(2)]

job = exports.create_export(ExportRequest.from_dict({"resource": "products", "format": "csv"}))
while job.status not in ("ready", "failed"):
    time.sleep(0.2)
    job = exports.get_export(job.id)
manifest = exports.get_export_manifest(job.id)
file = exports.get_export_file_with_http_info(job.id).raw_data

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
