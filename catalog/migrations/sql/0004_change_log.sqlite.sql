-- The change log. SQLite has one writer at a time, so a row's key is its position, in the order of the commits.
-- Who writes comes from tenfold_setting(), a function that Tenfold's connections have (config/api/database/authorship.py).

CREATE TRIGGER log_brand_insert AFTER INSERT ON catalog_brand
BEGIN
    INSERT INTO catalog_change (entity, op, entity_id, version, sku, product_id, at, numbered_at, actor, request_id, before)
    SELECT 'brand', 'create', NEW.id, NEW.version,
        '', NULL,
        now, now, coalesce(tenfold_setting('actor'), ''), coalesce(tenfold_setting('request_id'), ''),
        NULL FROM catalog_now;
END;

CREATE TRIGGER log_brand_update AFTER UPDATE ON catalog_brand
WHEN (NEW.name, NEW.slug) IS NOT
     (OLD.name, OLD.slug)
BEGIN
    INSERT INTO catalog_change (entity, op, entity_id, version, sku, product_id, at, numbered_at, actor, request_id, before)
    SELECT 'brand', 'update', NEW.id, OLD.version + 1,
        '', NULL,
        now, now, coalesce(tenfold_setting('actor'), ''), coalesce(tenfold_setting('request_id'), ''),
        iif(tenfold_setting('before') = 'off', NULL, json_object(
            'id', OLD.id, 'name', OLD.name, 'slug', OLD.slug, 'version', OLD.version, 'created_at', OLD.created_at,
            'updated_at', OLD.updated_at)) FROM catalog_now;
END;

CREATE TRIGGER log_brand_delete AFTER DELETE ON catalog_brand
BEGIN
    INSERT INTO catalog_change (entity, op, entity_id, version, sku, product_id, at, numbered_at, actor, request_id, before)
    SELECT 'brand', 'delete', OLD.id, OLD.version,
        '', NULL,
        now, now, coalesce(tenfold_setting('actor'), ''), coalesce(tenfold_setting('request_id'), ''),
        iif(tenfold_setting('before') = 'off', NULL, json_object(
            'id', OLD.id, 'name', OLD.name, 'slug', OLD.slug, 'version', OLD.version, 'created_at', OLD.created_at,
            'updated_at', OLD.updated_at)) FROM catalog_now;
END;

CREATE TRIGGER keep_brand_key BEFORE UPDATE OF id ON catalog_brand WHEN NEW.id <> OLD.id
BEGIN
    SELECT RAISE(ABORT, 'the key of a row in catalog_brand is for life');
END;

CREATE TRIGGER log_category_insert AFTER INSERT ON catalog_category
BEGIN
    INSERT INTO catalog_change (entity, op, entity_id, version, sku, product_id, at, numbered_at, actor, request_id, before)
    SELECT 'category', 'create', NEW.id, NEW.version,
        '', NULL,
        now, now, coalesce(tenfold_setting('actor'), ''), coalesce(tenfold_setting('request_id'), ''),
        NULL FROM catalog_now;
END;

CREATE TRIGGER log_category_update AFTER UPDATE ON catalog_category
WHEN (NEW.parent_id, NEW.name, NEW.slug) IS NOT
     (OLD.parent_id, OLD.name, OLD.slug)
BEGIN
    INSERT INTO catalog_change (entity, op, entity_id, version, sku, product_id, at, numbered_at, actor, request_id, before)
    SELECT 'category', 'update', NEW.id, OLD.version + 1,
        '', NULL,
        now, now, coalesce(tenfold_setting('actor'), ''), coalesce(tenfold_setting('request_id'), ''),
        iif(tenfold_setting('before') = 'off', NULL, json_object(
            'id', OLD.id, 'parent_id', OLD.parent_id, 'name', OLD.name, 'slug', OLD.slug, 'path', OLD.path,
            'version', OLD.version, 'created_at', OLD.created_at, 'updated_at', OLD.updated_at)) FROM catalog_now;
END;

CREATE TRIGGER log_category_delete AFTER DELETE ON catalog_category
BEGIN
    INSERT INTO catalog_change (entity, op, entity_id, version, sku, product_id, at, numbered_at, actor, request_id, before)
    SELECT 'category', 'delete', OLD.id, OLD.version,
        '', NULL,
        now, now, coalesce(tenfold_setting('actor'), ''), coalesce(tenfold_setting('request_id'), ''),
        iif(tenfold_setting('before') = 'off', NULL, json_object(
            'id', OLD.id, 'parent_id', OLD.parent_id, 'name', OLD.name, 'slug', OLD.slug, 'path', OLD.path,
            'version', OLD.version, 'created_at', OLD.created_at, 'updated_at', OLD.updated_at)) FROM catalog_now;
END;

CREATE TRIGGER keep_category_key BEFORE UPDATE OF id ON catalog_category WHEN NEW.id <> OLD.id
BEGIN
    SELECT RAISE(ABORT, 'the key of a row in catalog_category is for life');
END;

CREATE TRIGGER log_product_insert AFTER INSERT ON catalog_product
BEGIN
    INSERT INTO catalog_change (entity, op, entity_id, version, sku, product_id, at, numbered_at, actor, request_id, before)
    SELECT 'product', 'create', NEW.id, NEW.version,
        NEW.sku, NEW.id,
        now, now, coalesce(tenfold_setting('actor'), ''), coalesce(tenfold_setting('request_id'), ''),
        NULL FROM catalog_now;
END;

-- Not when touch_product moves the version, which is the same change: it is one more than before.
CREATE TRIGGER log_product_update AFTER UPDATE ON catalog_product
WHEN NEW.version = 0 OR (NEW.sku, NEW.slug, NEW.title, NEW.brand_id, NEW.category_id, NEW.status, NEW.currency, NEW.price, NEW.compare_at_price, NEW.in_stock, NEW.rating, NEW.image_url, NEW.attributes) IS NOT
     (OLD.sku, OLD.slug, OLD.title, OLD.brand_id, OLD.category_id, OLD.status, OLD.currency, OLD.price, OLD.compare_at_price, OLD.in_stock, OLD.rating, OLD.image_url, OLD.attributes)
BEGIN
    INSERT INTO catalog_change (entity, op, entity_id, version, sku, product_id, at, numbered_at, actor, request_id, before)
    SELECT 'product', 'update', NEW.id, OLD.version + 1,
        NEW.sku, NEW.id,
        now, now, coalesce(tenfold_setting('actor'), ''), coalesce(tenfold_setting('request_id'), ''),
        iif(tenfold_setting('before') = 'off', NULL, json_object(
            'id', OLD.id, 'sku', OLD.sku, 'slug', OLD.slug, 'title', OLD.title, 'brand_id', OLD.brand_id,
            'category_id', OLD.category_id, 'status', OLD.status, 'currency', OLD.currency, 'price', OLD.price,
            'compare_at_price', OLD.compare_at_price, 'in_stock', OLD.in_stock, 'rating', OLD.rating,
            'image_url', OLD.image_url, 'attributes', json(OLD.attributes), 'version', OLD.version,
            'created_at', OLD.created_at, 'updated_at', OLD.updated_at)) FROM catalog_now;
END;

CREATE TRIGGER log_product_delete AFTER DELETE ON catalog_product
BEGIN
    INSERT INTO catalog_change (entity, op, entity_id, version, sku, product_id, at, numbered_at, actor, request_id, before)
    SELECT 'product', 'delete', OLD.id, OLD.version,
        OLD.sku, OLD.id,
        now, now, coalesce(tenfold_setting('actor'), ''), coalesce(tenfold_setting('request_id'), ''),
        iif(tenfold_setting('before') = 'off', NULL, json_object(
            'id', OLD.id, 'sku', OLD.sku, 'slug', OLD.slug, 'title', OLD.title, 'brand_id', OLD.brand_id,
            'category_id', OLD.category_id, 'status', OLD.status, 'currency', OLD.currency, 'price', OLD.price,
            'compare_at_price', OLD.compare_at_price, 'in_stock', OLD.in_stock, 'rating', OLD.rating,
            'image_url', OLD.image_url, 'attributes', json(OLD.attributes), 'version', OLD.version,
            'created_at', OLD.created_at, 'updated_at', OLD.updated_at)) FROM catalog_now;
END;

CREATE TRIGGER keep_product_key BEFORE UPDATE OF id ON catalog_product WHEN NEW.id <> OLD.id
BEGIN
    SELECT RAISE(ABORT, 'the key of a row in catalog_product is for life');
END;

CREATE TRIGGER log_producttext_insert AFTER INSERT ON catalog_producttext
BEGIN
    INSERT INTO catalog_change (entity, op, entity_id, version, sku, product_id, at, numbered_at, actor, request_id, before)
    SELECT 'text', 'create', NEW.product_id, NULL,
        '', NEW.product_id,
        now, now, coalesce(tenfold_setting('actor'), ''), coalesce(tenfold_setting('request_id'), ''),
        NULL FROM catalog_now;
END;

CREATE TRIGGER log_producttext_update AFTER UPDATE ON catalog_producttext
WHEN (NEW.description, NEW.seo_title, NEW.seo_description) IS NOT
     (OLD.description, OLD.seo_title, OLD.seo_description)
BEGIN
    INSERT INTO catalog_change (entity, op, entity_id, version, sku, product_id, at, numbered_at, actor, request_id, before)
    SELECT 'text', 'update', NEW.product_id, NULL,
        '', NEW.product_id,
        now, now, coalesce(tenfold_setting('actor'), ''), coalesce(tenfold_setting('request_id'), ''),
        iif(tenfold_setting('before') = 'off', NULL, json_object(
            'product_id', OLD.product_id, 'description', OLD.description, 'seo_title', OLD.seo_title,
            'seo_description', OLD.seo_description)) FROM catalog_now;
END;

CREATE TRIGGER log_producttext_delete AFTER DELETE ON catalog_producttext
BEGIN
    INSERT INTO catalog_change (entity, op, entity_id, version, sku, product_id, at, numbered_at, actor, request_id, before)
    SELECT 'text', 'delete', OLD.product_id, NULL,
        '', OLD.product_id,
        now, now, coalesce(tenfold_setting('actor'), ''), coalesce(tenfold_setting('request_id'), ''),
        iif(tenfold_setting('before') = 'off', NULL, json_object(
            'product_id', OLD.product_id, 'description', OLD.description, 'seo_title', OLD.seo_title,
            'seo_description', OLD.seo_description)) FROM catalog_now;
END;

CREATE TRIGGER keep_producttext_key BEFORE UPDATE OF product_id ON catalog_producttext WHEN NEW.product_id <> OLD.product_id
BEGIN
    SELECT RAISE(ABORT, 'the key of a row in catalog_producttext is for life');
END;

CREATE TRIGGER log_variant_insert AFTER INSERT ON catalog_variant
BEGIN
    INSERT INTO catalog_change (entity, op, entity_id, version, sku, product_id, at, numbered_at, actor, request_id, before)
    SELECT 'variant', 'create', NEW.id, NEW.version,
        NEW.sku, NEW.product_id,
        now, now, coalesce(tenfold_setting('actor'), ''), coalesce(tenfold_setting('request_id'), ''),
        NULL FROM catalog_now;
END;

CREATE TRIGGER log_variant_update AFTER UPDATE ON catalog_variant
WHEN (NEW.product_id, NEW.sku, NEW.barcode, NEW.options, NEW.price, NEW.weight, NEW.position) IS NOT
     (OLD.product_id, OLD.sku, OLD.barcode, OLD.options, OLD.price, OLD.weight, OLD.position)
BEGIN
    INSERT INTO catalog_change (entity, op, entity_id, version, sku, product_id, at, numbered_at, actor, request_id, before)
    SELECT 'variant', 'update', NEW.id, OLD.version + 1,
        NEW.sku, NEW.product_id,
        now, now, coalesce(tenfold_setting('actor'), ''), coalesce(tenfold_setting('request_id'), ''),
        iif(tenfold_setting('before') = 'off', NULL, json_object(
            'id', OLD.id, 'product_id', OLD.product_id, 'sku', OLD.sku, 'barcode', OLD.barcode,
            'options', json(OLD.options), 'price', OLD.price, 'weight', OLD.weight, 'position', OLD.position,
            'version', OLD.version, 'created_at', OLD.created_at, 'updated_at', OLD.updated_at)) FROM catalog_now;
END;

CREATE TRIGGER log_variant_delete AFTER DELETE ON catalog_variant
BEGIN
    INSERT INTO catalog_change (entity, op, entity_id, version, sku, product_id, at, numbered_at, actor, request_id, before)
    SELECT 'variant', 'delete', OLD.id, OLD.version,
        OLD.sku, OLD.product_id,
        now, now, coalesce(tenfold_setting('actor'), ''), coalesce(tenfold_setting('request_id'), ''),
        iif(tenfold_setting('before') = 'off', NULL, json_object(
            'id', OLD.id, 'product_id', OLD.product_id, 'sku', OLD.sku, 'barcode', OLD.barcode,
            'options', json(OLD.options), 'price', OLD.price, 'weight', OLD.weight, 'position', OLD.position,
            'version', OLD.version, 'created_at', OLD.created_at, 'updated_at', OLD.updated_at)) FROM catalog_now;
END;

CREATE TRIGGER keep_variant_key BEFORE UPDATE OF id ON catalog_variant WHEN NEW.id <> OLD.id
BEGIN
    SELECT RAISE(ABORT, 'the key of a row in catalog_variant is for life');
END;

CREATE TRIGGER log_stock_insert AFTER INSERT ON catalog_stock
BEGIN
    INSERT INTO catalog_change (entity, op, entity_id, version, sku, product_id, at, numbered_at, actor, request_id, before)
    SELECT 'stock', 'create', NEW.id, NULL,
        coalesce((SELECT sku FROM catalog_variant WHERE id = NEW.variant_id), ''), (SELECT product_id FROM catalog_variant WHERE id = NEW.variant_id),
        now, now, coalesce(tenfold_setting('actor'), ''), coalesce(tenfold_setting('request_id'), ''),
        NULL FROM catalog_now;
END;

CREATE TRIGGER log_stock_update AFTER UPDATE ON catalog_stock
WHEN (NEW.variant_id, NEW.location, NEW.on_hand, NEW.reserved) IS NOT
     (OLD.variant_id, OLD.location, OLD.on_hand, OLD.reserved)
BEGIN
    INSERT INTO catalog_change (entity, op, entity_id, version, sku, product_id, at, numbered_at, actor, request_id, before)
    SELECT 'stock', 'update', NEW.id, NULL,
        coalesce((SELECT sku FROM catalog_variant WHERE id = NEW.variant_id), ''), (SELECT product_id FROM catalog_variant WHERE id = NEW.variant_id),
        now, now, coalesce(tenfold_setting('actor'), ''), coalesce(tenfold_setting('request_id'), ''),
        iif(tenfold_setting('before') = 'off', NULL, json_object(
            'id', OLD.id, 'variant_id', OLD.variant_id, 'location', OLD.location, 'on_hand', OLD.on_hand,
            'reserved', OLD.reserved)) FROM catalog_now;
END;

CREATE TRIGGER log_stock_delete AFTER DELETE ON catalog_stock
BEGIN
    INSERT INTO catalog_change (entity, op, entity_id, version, sku, product_id, at, numbered_at, actor, request_id, before)
    SELECT 'stock', 'delete', OLD.id, NULL,
        coalesce((SELECT sku FROM catalog_variant WHERE id = OLD.variant_id), ''), (SELECT product_id FROM catalog_variant WHERE id = OLD.variant_id),
        now, now, coalesce(tenfold_setting('actor'), ''), coalesce(tenfold_setting('request_id'), ''),
        iif(tenfold_setting('before') = 'off', NULL, json_object(
            'id', OLD.id, 'variant_id', OLD.variant_id, 'location', OLD.location, 'on_hand', OLD.on_hand,
            'reserved', OLD.reserved)) FROM catalog_now;
END;

CREATE TRIGGER keep_stock_key BEFORE UPDATE OF id ON catalog_stock WHEN NEW.id <> OLD.id
BEGIN
    SELECT RAISE(ABORT, 'the key of a row in catalog_stock is for life');
END;

CREATE TRIGGER log_image_insert AFTER INSERT ON catalog_image
BEGIN
    INSERT INTO catalog_change (entity, op, entity_id, version, sku, product_id, at, numbered_at, actor, request_id, before)
    SELECT 'image', 'create', NEW.id, NULL,
        '', NEW.product_id,
        now, now, coalesce(tenfold_setting('actor'), ''), coalesce(tenfold_setting('request_id'), ''),
        NULL FROM catalog_now;
END;

CREATE TRIGGER log_image_update AFTER UPDATE ON catalog_image
WHEN (NEW.product_id, NEW.url, NEW.alt, NEW.position) IS NOT
     (OLD.product_id, OLD.url, OLD.alt, OLD.position)
BEGIN
    INSERT INTO catalog_change (entity, op, entity_id, version, sku, product_id, at, numbered_at, actor, request_id, before)
    SELECT 'image', 'update', NEW.id, NULL,
        '', NEW.product_id,
        now, now, coalesce(tenfold_setting('actor'), ''), coalesce(tenfold_setting('request_id'), ''),
        iif(tenfold_setting('before') = 'off', NULL, json_object(
            'id', OLD.id, 'product_id', OLD.product_id, 'url', OLD.url, 'alt', OLD.alt, 'position', OLD.position)) FROM catalog_now;
END;

CREATE TRIGGER log_image_delete AFTER DELETE ON catalog_image
BEGIN
    INSERT INTO catalog_change (entity, op, entity_id, version, sku, product_id, at, numbered_at, actor, request_id, before)
    SELECT 'image', 'delete', OLD.id, NULL,
        '', OLD.product_id,
        now, now, coalesce(tenfold_setting('actor'), ''), coalesce(tenfold_setting('request_id'), ''),
        iif(tenfold_setting('before') = 'off', NULL, json_object(
            'id', OLD.id, 'product_id', OLD.product_id, 'url', OLD.url, 'alt', OLD.alt, 'position', OLD.position)) FROM catalog_now;
END;

CREATE TRIGGER keep_image_key BEFORE UPDATE OF id ON catalog_image WHEN NEW.id <> OLD.id
BEGIN
    SELECT RAISE(ABORT, 'the key of a row in catalog_image is for life');
END;

-- What was written stays as it was written; only the purge deletes.
CREATE TRIGGER keep_change BEFORE UPDATE ON catalog_change
BEGIN
    SELECT RAISE(ABORT, 'the change log is kept: UPDATE of catalog_change is refused');
END;
