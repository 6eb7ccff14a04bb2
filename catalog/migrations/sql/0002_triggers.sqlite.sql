-- version and updated_at move with each real change of a row, and take no other value. Version 0 is how a trigger says
-- that something which belongs to the row has changed.
-- recursive_triggers is off, SQLite's default: an UPDATE inside a trigger doesn't fire that trigger again.

-- Times as Django writes them: six decimals, or none where they are zero.
CREATE VIEW catalog_now AS
SELECT replace(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000', '.000000', '') AS now;

CREATE TRIGGER touch_brand AFTER UPDATE ON catalog_brand
WHEN (NEW.name, NEW.slug, NEW.version, NEW.updated_at) IS NOT
     (OLD.name, OLD.slug, OLD.version, OLD.updated_at)
BEGIN
    UPDATE catalog_brand SET (version, updated_at) = (
        SELECT OLD.version + changed, iif(changed, (SELECT now FROM catalog_now), OLD.updated_at)
        FROM (SELECT (NEW.name, NEW.slug) IS NOT
            (OLD.name, OLD.slug) AS changed))
    WHERE id = NEW.id;
END;

CREATE TRIGGER touch_category AFTER UPDATE ON catalog_category
WHEN (NEW.parent_id, NEW.name, NEW.slug, NEW.version, NEW.updated_at) IS NOT
     (OLD.parent_id, OLD.name, OLD.slug, OLD.version, OLD.updated_at)
BEGIN
    UPDATE catalog_category SET (version, updated_at) = (
        SELECT OLD.version + changed, iif(changed, (SELECT now FROM catalog_now), OLD.updated_at)
        FROM (SELECT (NEW.parent_id, NEW.name, NEW.slug) IS NOT
            (OLD.parent_id, OLD.name, OLD.slug) AS changed))
    WHERE id = NEW.id;
END;

CREATE TRIGGER touch_product AFTER UPDATE ON catalog_product
WHEN (NEW.sku, NEW.slug, NEW.title, NEW.brand_id, NEW.category_id, NEW.status, NEW.currency, NEW.price, NEW.compare_at_price, NEW.in_stock, NEW.rating, NEW.image_url, NEW.attributes, NEW.version, NEW.updated_at) IS NOT
     (OLD.sku, OLD.slug, OLD.title, OLD.brand_id, OLD.category_id, OLD.status, OLD.currency, OLD.price, OLD.compare_at_price, OLD.in_stock, OLD.rating, OLD.image_url, OLD.attributes, OLD.version, OLD.updated_at)
BEGIN
    UPDATE catalog_product SET (version, updated_at) = (
        SELECT OLD.version + changed, iif(changed, (SELECT now FROM catalog_now), OLD.updated_at)
        FROM (SELECT (NEW.sku, NEW.slug, NEW.title, NEW.brand_id, NEW.category_id, NEW.status, NEW.currency, NEW.price, NEW.compare_at_price, NEW.in_stock, NEW.rating, NEW.image_url, NEW.attributes) IS NOT
            (OLD.sku, OLD.slug, OLD.title, OLD.brand_id, OLD.category_id, OLD.status, OLD.currency, OLD.price, OLD.compare_at_price, OLD.in_stock, OLD.rating, OLD.image_url, OLD.attributes) OR NEW.version = 0 AS changed))
    WHERE id = NEW.id;
END;

-- The texts are the product's own members, only in another table: who syncs by updated_since wants them too.
CREATE TRIGGER touch_text AFTER UPDATE ON catalog_producttext
WHEN (NEW.description, NEW.seo_title, NEW.seo_description) IS NOT
     (OLD.description, OLD.seo_title, OLD.seo_description)
BEGIN
    UPDATE catalog_product SET version = 0 WHERE id = NEW.product_id;
END;

CREATE TRIGGER touch_variant AFTER UPDATE ON catalog_variant
WHEN (NEW.product_id, NEW.sku, NEW.barcode, NEW.options, NEW.price, NEW.weight, NEW.position, NEW.version, NEW.updated_at) IS NOT
     (OLD.product_id, OLD.sku, OLD.barcode, OLD.options, OLD.price, OLD.weight, OLD.position, OLD.version, OLD.updated_at)
BEGIN
    UPDATE catalog_variant SET (version, updated_at) = (
        SELECT OLD.version + changed, iif(changed, (SELECT now FROM catalog_now), OLD.updated_at)
        FROM (SELECT (NEW.product_id, NEW.sku, NEW.barcode, NEW.options, NEW.price, NEW.weight, NEW.position) IS NOT
            (OLD.product_id, OLD.sku, OLD.barcode, OLD.options, OLD.price, OLD.weight, OLD.position) AS changed))
    WHERE id = NEW.id;
END;

-- Category.path: the ids from the root down, ten digits each.
CREATE TRIGGER path_category_insert AFTER INSERT ON catalog_category
BEGIN
    UPDATE catalog_category SET path =
        coalesce((SELECT path FROM catalog_category WHERE id = NEW.parent_id), '') || printf('%010d', NEW.id)
    WHERE id = NEW.id;
END;

CREATE TRIGGER path_category_update AFTER UPDATE OF parent_id ON catalog_category
WHEN NEW.parent_id IS NOT OLD.parent_id
BEGIN
    SELECT RAISE(ABORT, 'a category cannot be moved below itself')
    FROM catalog_category WHERE id = NEW.parent_id AND substr(path, 1, length(OLD.path)) = OLD.path;
    UPDATE catalog_category SET path =
        coalesce((SELECT path FROM catalog_category WHERE id = NEW.parent_id), '') || printf('%010d', NEW.id)
        || substr(path, length(OLD.path) + 1)
    WHERE substr(path, 1, length(OLD.path)) = OLD.path;
END;

-- Product.price: the lowest price of its variants.
CREATE TRIGGER price_insert AFTER INSERT ON catalog_variant
BEGIN
    UPDATE catalog_product SET price = (SELECT min(price) FROM catalog_variant WHERE product_id = NEW.product_id)
    WHERE id = NEW.product_id
        AND price <> (SELECT min(price) FROM catalog_variant WHERE product_id = NEW.product_id);
END;

-- A variant that moves to another product changes both, and takes its stock along.
CREATE TRIGGER price_update AFTER UPDATE OF price, product_id ON catalog_variant
BEGIN
    UPDATE catalog_product SET price = (SELECT min(price) FROM catalog_variant WHERE product_id = catalog_product.id)
    WHERE id IN (NEW.product_id, OLD.product_id)
        AND price <> (SELECT min(price) FROM catalog_variant WHERE product_id = catalog_product.id);
END;

CREATE TRIGGER price_delete AFTER DELETE ON catalog_variant
BEGIN
    UPDATE catalog_product SET price = (SELECT min(price) FROM catalog_variant WHERE product_id = OLD.product_id)
    WHERE id = OLD.product_id
        AND price <> (SELECT min(price) FROM catalog_variant WHERE product_id = OLD.product_id);
END;

-- Product.in_stock: some variant has a piece that is not reserved.
CREATE TRIGGER stock_insert AFTER INSERT ON catalog_stock
BEGIN
    UPDATE catalog_product SET in_stock = NOT in_stock
    WHERE id = (SELECT product_id FROM catalog_variant WHERE id = NEW.variant_id) AND in_stock <> EXISTS (
        SELECT 1 FROM catalog_stock s JOIN catalog_variant v ON v.id = s.variant_id
        WHERE v.product_id = catalog_product.id AND s.on_hand > s.reserved);
END;

CREATE TRIGGER stock_update AFTER UPDATE ON catalog_stock
WHEN (NEW.variant_id, NEW.on_hand > NEW.reserved) <> (OLD.variant_id, OLD.on_hand > OLD.reserved)
BEGIN
    UPDATE catalog_product SET in_stock = NOT in_stock
    WHERE id IN (SELECT product_id FROM catalog_variant WHERE id IN (NEW.variant_id, OLD.variant_id))
        AND in_stock <> EXISTS (
            SELECT 1 FROM catalog_stock s JOIN catalog_variant v ON v.id = s.variant_id
            WHERE v.product_id = catalog_product.id AND s.on_hand > s.reserved);
END;

CREATE TRIGGER stock_variant_move AFTER UPDATE OF product_id ON catalog_variant
WHEN NEW.product_id <> OLD.product_id
BEGIN
    UPDATE catalog_product SET in_stock = NOT in_stock
    WHERE id IN (NEW.product_id, OLD.product_id) AND in_stock <> EXISTS (
        SELECT 1 FROM catalog_stock s JOIN catalog_variant v ON v.id = s.variant_id
        WHERE v.product_id = catalog_product.id AND s.on_hand > s.reserved);
END;

CREATE TRIGGER stock_delete AFTER DELETE ON catalog_stock
BEGIN
    UPDATE catalog_product SET in_stock = NOT in_stock
    WHERE id = (SELECT product_id FROM catalog_variant WHERE id = OLD.variant_id) AND in_stock <> EXISTS (
        SELECT 1 FROM catalog_stock s JOIN catalog_variant v ON v.id = s.variant_id
        WHERE v.product_id = catalog_product.id AND s.on_hand > s.reserved);
END;

-- A deleted variant takes its stock with it, and then its product can't be found from the stock row.
CREATE TRIGGER stock_variant_delete AFTER DELETE ON catalog_variant
BEGIN
    UPDATE catalog_product SET in_stock = NOT in_stock
    WHERE id = OLD.product_id AND in_stock <> EXISTS (
        SELECT 1 FROM catalog_stock s JOIN catalog_variant v ON v.id = s.variant_id
        WHERE v.product_id = catalog_product.id AND s.on_hand > s.reserved);
END;

-- Product.image_url: its first image, or ''.
CREATE TRIGGER image_insert AFTER INSERT ON catalog_image
BEGIN
    UPDATE catalog_product SET image_url = coalesce((
        SELECT url FROM catalog_image WHERE product_id = NEW.product_id ORDER BY position, id LIMIT 1), '')
    WHERE id = NEW.product_id AND image_url <> coalesce((
        SELECT url FROM catalog_image WHERE product_id = NEW.product_id ORDER BY position, id LIMIT 1), '');
END;

CREATE TRIGGER image_update AFTER UPDATE ON catalog_image
BEGIN
    UPDATE catalog_product SET image_url = coalesce((
        SELECT url FROM catalog_image WHERE product_id = catalog_product.id ORDER BY position, id LIMIT 1), '')
    WHERE id IN (NEW.product_id, OLD.product_id) AND image_url <> coalesce((
        SELECT url FROM catalog_image WHERE product_id = catalog_product.id ORDER BY position, id LIMIT 1), '');
END;

CREATE TRIGGER image_delete AFTER DELETE ON catalog_image
BEGIN
    UPDATE catalog_product SET image_url = coalesce((
        SELECT url FROM catalog_image WHERE product_id = OLD.product_id ORDER BY position, id LIMIT 1), '')
    WHERE id = OLD.product_id AND image_url <> coalesce((
        SELECT url FROM catalog_image WHERE product_id = OLD.product_id ORDER BY position, id LIMIT 1), '');
END;

-- The search document. unicode61 folds case and accents; a search by prefix matches what a person typed.
CREATE VIRTUAL TABLE catalog_search USING fts5(title, brand, description, tokenize = 'unicode61');

CREATE TRIGGER search_product_insert AFTER INSERT ON catalog_product
BEGIN
    INSERT INTO catalog_search (rowid, title, brand, description) VALUES (NEW.id, NEW.sku || ' ' || NEW.title,
        coalesce((SELECT name FROM catalog_brand WHERE id = NEW.brand_id), ''), '');
END;

CREATE TRIGGER search_product_update AFTER UPDATE OF sku, title, brand_id ON catalog_product
WHEN (NEW.sku, NEW.title, NEW.brand_id) IS NOT (OLD.sku, OLD.title, OLD.brand_id)
BEGIN
    UPDATE catalog_search SET title = NEW.sku || ' ' || NEW.title,
        brand = coalesce((SELECT name FROM catalog_brand WHERE id = NEW.brand_id), '')
    WHERE rowid = NEW.id;
END;

CREATE TRIGGER search_product_delete AFTER DELETE ON catalog_product
BEGIN
    DELETE FROM catalog_search WHERE rowid = OLD.id;
END;

CREATE TRIGGER search_text_insert AFTER INSERT ON catalog_producttext WHEN NEW.description <> ''
BEGIN
    UPDATE catalog_search SET description = NEW.description WHERE rowid = NEW.product_id;
END;

CREATE TRIGGER search_text_update AFTER UPDATE OF description ON catalog_producttext
WHEN NEW.description <> OLD.description
BEGIN
    UPDATE catalog_search SET description = NEW.description WHERE rowid = NEW.product_id;
END;

CREATE TRIGGER search_brand AFTER UPDATE OF name ON catalog_brand WHEN NEW.name <> OLD.name
BEGIN
    UPDATE catalog_search SET brand = NEW.name
    WHERE rowid IN (SELECT id FROM catalog_product WHERE brand_id = NEW.id);
END;
