// openapi-fetch over the types of openapi-typescript, under `strict`. Prints what it saw.
import { createHash } from "node:crypto";
import createClient from "openapi-fetch";
import type { paths } from "./api";

const { TENFOLD, TOKEN, SKU = "", STOCKED = "" } = process.env;
const client = createClient<paths>({ baseUrl: TENFOLD, headers: { Authorization: `Bearer ${TOKEN}` } });

function take<T>(answer: { data?: T; error?: { detail: string } }): T {
  if (answer.data === undefined) throw new Error(answer.error?.detail ?? "no body");
  return answer.data;
}

async function main(): Promise<void> {
  const skus = new Set<string>();
  let cursor: string | null | undefined;
  do {
    const query = { page_size: 100, ...(cursor ? { cursor } : {}) };
    const page = take(await client.GET("/api/v1/products", { params: { query } }));
    for (const row of page.results) if (row.sku) skus.add(row.sku);
    cursor = page.next_cursor;
  } while (cursor);

  const made = take(await client.POST("/api/v1/products", { body: { sku: SKU, title: "Lamp", price: "9.50" } }));
  const path = { id: made.id ?? 0 };
  const read = await client.GET("/api/v1/products/{id}", { params: { path } });
  const header = { "If-Match": read.response.headers.get("ETag") ?? "" };
  const patched: number[] = [];
  for (const title of ["Bright lamp", "Dark lamp"]) {
    const answer = await client.PATCH("/api/v1/products/{id}", { params: { path, header }, body: { title } });
    patched.push(answer.response.status);
  }

  const items = [{ sku: SKU, price: "8.00" }, { sku: `${SKU}-2`, title: "Shade", price: "3.00" }];
  const bulk = take(await client.POST("/api/v1/products/bulk", { body: { mode: "upsert", items } }));

  const numbers = new Set<string | undefined>();
  for (let times = 0; times < 2; times++) {
    const params = { header: { "Idempotency-Key": SKU } };
    const body = { lines: [{ sku: STOCKED, quantity: 1 }] };
    numbers.add(take(await client.POST("/api/v1/orders", { params, body })).number);
  }

  let job = take(await client.POST("/api/v1/exports", { body: { resource: "products", format: "csv" } }));
  const id = job.id ?? 0;
  while (job.status !== "ready" && job.status !== "failed") {
    await new Promise((done) => setTimeout(done, 200));
    job = take(await client.GET("/api/v1/exports/{id}", { params: { path: { id } } }));
  }
  const manifest = take(await client.GET("/api/v1/exports/{id}/manifest", { params: { path: { id } } }));
  const file = await client.GET("/api/v1/exports/{id}/file", { params: { path: { id } }, parseAs: "arrayBuffer" });
  const digest = createHash("sha256").update(Buffer.from(file.data as ArrayBuffer)).digest("hex");

  console.log(JSON.stringify({
    rows: skus.size,
    patched,
    bulk: bulk.results.map((row) => row.status),
    orders: numbers.size,
    whole: digest === manifest.sha256,
  }));
}

void main();
