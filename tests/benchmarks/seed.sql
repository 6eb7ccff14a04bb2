-- :rows products, the same for everyone: each value follows from its number. Run with session_replication_role =
-- replica, so that only the triggers that store rows run; what others derive (price, in_stock, image_url, title_key, path,
-- search) is set right here.
-- Order of creation is a permutation of the ids, so that a page's rows lie scattered over the table.

CREATE TEMP VIEW bench_row AS
SELECT n,
       'BN-' || lpad(n::text, 8, '0') AS sku,
       (ARRAY['Alder', 'Birch', 'Café', 'Dalia', 'Ember', 'Fjord', 'Grünwald', 'Harbour', 'Indigo', '4" Classic'])[1 + n % 10]
           || ' ' || (ARRAY['Soy Wax', 'Linen', 'Oak', 'Stoneware', 'Wool', 'Steel', 'Cotton'])[1 + n % 7]
           || ' ' || (ARRAY['Candle', 'Throw', 'Bowl', 'Chair', 'Lamp', 'Jacket', 'Backpack', 'Teapot', 'Shelf'])[1 + n % 9]
           AS title,
       CASE WHEN n % 97 > 0 THEN 1 + n % 500 END AS brand_id,
       CASE WHEN n % 101 > 0 THEN 31 + n % 300 END AS category_id,
       CASE WHEN n % 50 IN (1, 2, 3) THEN 'draft' WHEN n % 50 = 4 THEN 'archived' ELSE 'active' END AS status,
       ((90 + n * 7919 % 20000) || '.90')::numeric(12, 2) AS price,
       CASE WHEN n % 10 < 3 THEN 0 ELSE (100 + n * 31 % 401) / 100.0 END AS rating,
       n % 8 > 0 AS in_stock,
       (ARRAY[0, 1, 1, 1, 2, 2, 2, 3, 4, 1, 2, 3])[1 + n % 12] AS images,
       timestamptz '2024-11-01 00:00:00+00' + interval '730 days' * ((n * 7919 % :rows)::float8 / :rows) AS created_at
FROM generate_series(1::bigint, :rows) n;

INSERT INTO catalog_brand (id, name, slug, version, created_at, updated_at)
SELECT n, 'Brand & Söhne ' || n, 'brand-' || n, 1, timestamptz '2024-11-01', timestamptz '2024-11-01'
FROM generate_series(1, 500) n;

INSERT INTO catalog_category (id, parent_id, name, slug, path, breadcrumb, version, created_at, updated_at)
SELECT n, parent, 'Category ' || n, concat_ws('-', 'category', parent, n),
       concat(lpad(parent::text, 10, '0'), lpad(n::text, 10, '0')),
       concat('Category ' || parent || ' > ', 'Category ' || n), 1, timestamptz '2024-11-01', timestamptz '2024-11-01'
FROM (SELECT n, CASE WHEN n > 30 THEN 1 + n % 30 END AS parent FROM generate_series(1, 330) n) node;

INSERT INTO catalog_image (id, product_id, url, alt, position, version, updated_at)
SELECT n * 4 + place, n, 'https://images.example/' || sku || '-' || place || '.jpg', title || ', view ' || place, place, 1, created_at
FROM bench_row, generate_series(1, images) place;

INSERT INTO catalog_product (id, sku, slug, title, title_key, brand_id, category_id, status, currency, price, compare_at_price,
                             in_stock, rating, image_url, attributes, version, created_at, updated_at)
SELECT n, sku, 'product-' || n, title, tenfold_fold(title), brand_id, category_id, status, 'USD', price,
       CASE WHEN n % 4 = 0 THEN price + 20 END, in_stock, rating,
       CASE WHEN images > 0 THEN 'https://images.example/' || sku || '-1.jpg' ELSE '' END,
       jsonb_build_object('color', (ARRAY['Olive', 'Ivory', 'Rust', 'Navy'])[1 + n % 4], 'material', split_part(title, ' ', 2),
                          'collection', split_part(title, ' ', 1), 'weight', 50 + n % 4000, 'organic', n % 3 = 0),
       1, created_at, created_at + interval '1 hour' * (n % 1000)
FROM bench_row;

INSERT INTO catalog_producttext (product_id, description, seo_title, seo_description, document, parts)
SELECT n, text, title, text, catalog_make_document(tenfold_fold(sku || ' ' || title), text, brand_id),
       tenfold_fold(sku || ' ' || title)
FROM bench_row, LATERAL (SELECT title || ', made to be used every day and to be mended rather than replaced.' AS text) written;

INSERT INTO catalog_variant (id, product_id, sku, barcode, options, price, weight, position, version, created_at, updated_at)
SELECT n, n, sku || '-1', '', '{}', price, 50 + n % 4000, 1, 1, created_at, created_at FROM bench_row;

INSERT INTO catalog_stock (id, variant_id, location, on_hand, reserved, version, updated_at)
SELECT n, n, 'main', CASE WHEN in_stock THEN 3 + n % 90 ELSE 0 END, 0, 1, created_at FROM bench_row;

DROP VIEW bench_row;
