// The typescript-fetch client of openapi-generator. Prints what it saw.
import { createHash } from "node:crypto";
import { Configuration, ExportsApi, OrdersApi, ProductsApi, ResponseError } from "./generated";

const { TENFOLD, TOKEN = "", SKU = "", STOCKED = "" } = process.env;
const configuration = new Configuration({ basePath: TENFOLD, accessToken: TOKEN });
const products = new ProductsApi(configuration);
const exports_ = new ExportsApi(configuration);

async function main(): Promise<void> {
  const skus = new Set<string | undefined>();
  let cursor: string | undefined;
  do {
    const page = await products.listProducts({ pageSize: 100, cursor });
    for (const row of page.results) skus.add(row.sku);
    cursor = page.nextCursor ?? undefined;
  } while (cursor);

  const made = await products.createProduct({ productRequest: { sku: SKU, title: "Lamp", price: "9.50" } });
  const id = made.id ?? 0;
  const ifMatch = (await products.getProductRaw({ id })).raw.headers.get("ETag") ?? "";
  const patched: number[] = [];
  for (const title of ["Bright lamp", "Dark lamp"]) {
    try {
      patched.push((await products.updateProductRaw({ id, ifMatch, patchedProductRequest: { title } })).raw.status);
    } catch (error) {
      if (!(error instanceof ResponseError)) throw error;
      patched.push(error.response.status);
    }
  }

  const items = [{ sku: SKU, price: "8.00" }, { sku: `${SKU}-2`, title: "Shade", price: "3.00" }];
  const bulk = await products.bulkWriteProducts({ productBulkRequest: { mode: "upsert", items } });

  const numbers = new Set<string | undefined>();
  for (let times = 0; times < 2; times++) {
    const orderRequest = { lines: [{ sku: STOCKED, quantity: 1 }] };
    numbers.add((await new OrdersApi(configuration).createOrder({ idempotencyKey: SKU, orderRequest })).number);
  }

  let job = await exports_.createExport({ exportRequest: { resource: "products", format: "csv" } });
  while (job.status !== "ready" && job.status !== "failed") {
    await new Promise((done) => setTimeout(done, 200));
    job = await exports_.getExport({ id: job.id ?? 0 });
  }
  const manifest = await exports_.getExportManifest({ id: job.id ?? 0 });
  const file = Buffer.from(await (await exports_.getExportFile({ id: job.id ?? 0 })).arrayBuffer());

  console.log(JSON.stringify({
    rows: skus.size,
    patched,
    bulk: bulk.results.map((row) => row.status),
    orders: numbers.size,
    whole: createHash("sha256").update(file).digest("hex") === manifest.sha256,
  }));
}

void main();
