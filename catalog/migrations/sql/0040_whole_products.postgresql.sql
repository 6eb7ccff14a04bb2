-- These functions take the keys of a statement's rows as an array. Planned while the table is small, `= ANY (keys)` was
-- the filter of a sequential scan, which compares each row with each of thousands of keys; and the plan is kept while
-- an import fills the table. Of 20,000 new products it took 10 of 17 seconds of CPU, by an index 0.5.
ALTER FUNCTION catalog_lock_products(bigint[]) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION catalog_lock_products(bigint[]) SET enable_seqscan = off;
ALTER FUNCTION catalog_derive_price(bigint[]) SET enable_seqscan = off;
ALTER FUNCTION catalog_derive_stock(bigint[]) SET enable_seqscan = off;
ALTER FUNCTION catalog_derive_image(bigint[]) SET enable_seqscan = off;
