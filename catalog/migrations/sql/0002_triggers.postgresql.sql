-- version and updated_at move with each real change of a row, and take no other value. Version 0 is how a trigger says
-- that something which belongs to the row has changed.
CREATE FUNCTION catalog_touch() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE is_asked boolean := NEW.version = 0;
BEGIN
    NEW.version := OLD.version;
    NEW.updated_at := OLD.updated_at;
    IF is_asked OR NEW IS DISTINCT FROM OLD THEN
        NEW.version := OLD.version + 1;
        NEW.updated_at := clock_timestamp();
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER touch_brand BEFORE UPDATE ON catalog_brand FOR EACH ROW EXECUTE FUNCTION catalog_touch();
-- A path that follows an ancestor's is no change of the row.
CREATE TRIGGER touch_category BEFORE UPDATE ON catalog_category FOR EACH ROW
    WHEN ((NEW.parent_id, NEW.name, NEW.slug, NEW.version, NEW.updated_at) IS DISTINCT FROM
          (OLD.parent_id, OLD.name, OLD.slug, OLD.version, OLD.updated_at))
    EXECUTE FUNCTION catalog_touch();
CREATE TRIGGER touch_product BEFORE UPDATE ON catalog_product FOR EACH ROW EXECUTE FUNCTION catalog_touch();
CREATE TRIGGER touch_variant BEFORE UPDATE ON catalog_variant FOR EACH ROW EXECUTE FUNCTION catalog_touch();

-- The texts are the product's own members, only in another table: who syncs by updated_since wants them too.
CREATE FUNCTION catalog_text_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE catalog_product SET version = 0 WHERE id = NEW.product_id;
    RETURN NULL;
END $$;

CREATE TRIGGER touch_text AFTER UPDATE ON catalog_producttext FOR EACH ROW
    WHEN ((NEW.description, NEW.seo_title, NEW.seo_description) IS DISTINCT FROM
          (OLD.description, OLD.seo_title, OLD.seo_description))
    EXECUTE FUNCTION catalog_text_updated();

-- Category.path: the ids from the root down, ten digits each. A move shuts out other moves and inserts until its
-- transaction ends: a child that is inserted meanwhile would keep its ancestors' old path, and two moves at once could
-- put two categories below each other.
CREATE FUNCTION catalog_category_lock() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE key bigint := TG_RELID;
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM pg_advisory_xact_lock_shared(key);
    ELSE
        PERFORM pg_advisory_xact_lock(key);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER lock_category_insert BEFORE INSERT ON catalog_category
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_category_lock();
CREATE TRIGGER lock_category_update BEFORE UPDATE OF parent_id ON catalog_category
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_category_lock();

CREATE FUNCTION catalog_category_path() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE above text := '';
BEGIN
    IF NEW.parent_id IS NOT NULL THEN
        SELECT path INTO above FROM catalog_category WHERE id = NEW.parent_id;
    END IF;
    IF TG_OP = 'UPDATE' AND starts_with(above, OLD.path) THEN
        RAISE EXCEPTION 'a category cannot be moved below itself' USING ERRCODE = 'check_violation';
    END IF;
    NEW.path := above || lpad(NEW.id::text, 10, '0');
    RETURN NEW;
END $$;

CREATE TRIGGER path_category_insert BEFORE INSERT ON catalog_category
    FOR EACH ROW EXECUTE FUNCTION catalog_category_path();
CREATE TRIGGER path_category_update BEFORE UPDATE ON catalog_category
    FOR EACH ROW WHEN (NEW.parent_id IS DISTINCT FROM OLD.parent_id) EXECUTE FUNCTION catalog_category_path();

CREATE FUNCTION catalog_category_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE catalog_category SET path = NEW.path || substr(path, length(OLD.path) + 1)
    WHERE path LIKE OLD.path || '_%';
    RETURN NULL;
END $$;

CREATE TRIGGER move_category AFTER UPDATE ON catalog_category
    FOR EACH ROW WHEN (NEW.parent_id IS DISTINCT FROM OLD.parent_id) EXECUTE FUNCTION catalog_category_move();

-- Price, in_stock and image_url of products are derived by statement triggers, so a bulk write pays once. The products
-- are locked first, in the order of their keys: two writers of one product's variants would each overlook what the
-- other hasn't committed yet, and the later one would put down what is no longer true. What is read after the lock
-- is read by a new statement, which sees it.
CREATE FUNCTION catalog_lock_products(products bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM catalog_product WHERE id = ANY (products) ORDER BY id FOR NO KEY UPDATE;
END $$;

-- Product.price: the lowest price of its variants.
CREATE FUNCTION catalog_derive_price(products bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM catalog_lock_products(products);
    UPDATE catalog_product p SET price = v.price
    FROM (SELECT product_id, min(price) AS price FROM catalog_variant
          WHERE product_id = ANY (products) GROUP BY product_id) v
    WHERE p.id = v.product_id AND p.price <> v.price;
END $$;

-- Product.in_stock: some variant has a piece that is not reserved.
CREATE FUNCTION catalog_derive_stock(products bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM catalog_lock_products(products);
    UPDATE catalog_product p SET in_stock = NOT p.in_stock
    WHERE p.id = ANY (products) AND p.in_stock <> EXISTS (
        SELECT FROM catalog_stock s JOIN catalog_variant v ON v.id = s.variant_id
        WHERE v.product_id = p.id AND s.on_hand > s.reserved);
END $$;

-- Product.image_url: its first image, or ''.
CREATE FUNCTION catalog_derive_image(products bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM catalog_lock_products(products);
    UPDATE catalog_product p SET image_url = f.url
    FROM (SELECT c.id, coalesce((
              SELECT i.url FROM catalog_image i WHERE i.product_id = c.id ORDER BY i.position, i.id LIMIT 1), '') AS url
          FROM (SELECT DISTINCT unnest(products) AS id) c) f
    WHERE p.id = f.id AND p.image_url <> f.url;
END $$;

CREATE FUNCTION catalog_variant_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM catalog_derive_price(ARRAY(SELECT DISTINCT product_id FROM changed));
    RETURN NULL;
END $$;

-- A variant that moves to another product changes both, and takes its stock along.
CREATE FUNCTION catalog_variant_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM catalog_derive_price(ARRAY(
        SELECT unnest(ARRAY[b.product_id, c.product_id]) FROM before b JOIN changed c USING (id)
        WHERE (b.product_id, b.price) <> (c.product_id, c.price)));
    PERFORM catalog_derive_stock(ARRAY(
        SELECT unnest(ARRAY[b.product_id, c.product_id]) FROM before b JOIN changed c USING (id)
        WHERE b.product_id <> c.product_id));
    RETURN NULL;
END $$;

-- A deleted variant takes its stock with it, and then its product can't be found from the stock row.
CREATE FUNCTION catalog_variant_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE products bigint[] := ARRAY(SELECT DISTINCT product_id FROM changed);
BEGIN
    PERFORM catalog_derive_price(products);
    PERFORM catalog_derive_stock(products);
    RETURN NULL;
END $$;

CREATE TRIGGER derive_insert AFTER INSERT ON catalog_variant REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_variant_inserted();
CREATE TRIGGER derive_update AFTER UPDATE ON catalog_variant REFERENCING OLD TABLE AS before NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_variant_updated();
CREATE TRIGGER derive_delete AFTER DELETE ON catalog_variant REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_variant_deleted();

CREATE FUNCTION catalog_stock_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE variants bigint[] := ARRAY(SELECT variant_id FROM changed);
BEGIN
    PERFORM catalog_derive_stock(ARRAY(SELECT DISTINCT product_id FROM catalog_variant WHERE id = ANY (variants)));
    RETURN NULL;
END $$;

-- An UPDATE matters only where free pieces appear, run out or go to another variant; most sales do none of it.
CREATE FUNCTION catalog_stock_updated() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE variants bigint[] := ARRAY(
    SELECT unnest(ARRAY[b.variant_id, c.variant_id]) FROM before b JOIN changed c USING (id)
    WHERE (b.variant_id, b.on_hand > b.reserved) <> (c.variant_id, c.on_hand > c.reserved));
BEGIN
    IF variants <> '{}' THEN
        PERFORM catalog_derive_stock(ARRAY(
            SELECT DISTINCT product_id FROM catalog_variant WHERE id = ANY (variants)));
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER derive_insert AFTER INSERT ON catalog_stock REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_stock_changed();
CREATE TRIGGER derive_update AFTER UPDATE ON catalog_stock REFERENCING OLD TABLE AS before NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_stock_updated();
CREATE TRIGGER derive_delete AFTER DELETE ON catalog_stock REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_stock_changed();

CREATE FUNCTION catalog_image_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM catalog_derive_image(ARRAY(SELECT DISTINCT product_id FROM changed));
    RETURN NULL;
END $$;

CREATE FUNCTION catalog_image_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM catalog_derive_image(ARRAY(
        SELECT unnest(ARRAY[b.product_id, c.product_id]) FROM before b JOIN changed c USING (id)
        WHERE (b.product_id, b.url, b.position) <> (c.product_id, c.url, c.position)));
    RETURN NULL;
END $$;

CREATE TRIGGER derive_insert AFTER INSERT ON catalog_image REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_image_changed();
CREATE TRIGGER derive_update AFTER UPDATE ON catalog_image REFERENCING OLD TABLE AS before NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_image_updated();
CREATE TRIGGER derive_delete AFTER DELETE ON catalog_image REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_image_changed();

-- The search document: SKU and title weigh most, then the brand, then the description.
-- 'simple' keeps words as they are, so any language works and a prefix matches what a person typed.
CREATE FUNCTION catalog_words(words text) RETURNS tsvector LANGUAGE sql IMMUTABLE AS $$
    -- The parser would read "LMP-1" as a word and a negative number, and "a.b" as a host.
    SELECT to_tsvector('simple', translate(words, '-_/.:@', '      '))
$$;

ALTER TABLE catalog_producttext ADD COLUMN search tsvector NOT NULL DEFAULT '';

CREATE FUNCTION catalog_search_document() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT setweight(catalog_words(p.sku || ' ' || p.title), 'A')
        || setweight(catalog_words(coalesce(b.name, '')), 'B')
        || setweight(catalog_words(NEW.description), 'C')
    INTO NEW.search
    FROM catalog_product p LEFT JOIN catalog_brand b ON b.id = p.brand_id WHERE p.id = NEW.product_id;
    NEW.search := coalesce(NEW.search, '');
    RETURN NEW;
END $$;

CREATE TRIGGER search_text BEFORE INSERT OR UPDATE ON catalog_producttext
    FOR EACH ROW EXECUTE FUNCTION catalog_search_document();

CREATE FUNCTION catalog_search_again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE catalog_producttext SET search = search WHERE product_id = NEW.id;
    RETURN NULL;
END $$;

CREATE TRIGGER search_product AFTER UPDATE OF sku, title, brand_id ON catalog_product FOR EACH ROW
    WHEN ((NEW.sku, NEW.title, NEW.brand_id) IS DISTINCT FROM (OLD.sku, OLD.title, OLD.brand_id))
    EXECUTE FUNCTION catalog_search_again();

CREATE FUNCTION catalog_search_brand() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE catalog_producttext SET search = search
    WHERE product_id IN (SELECT id FROM catalog_product WHERE brand_id = NEW.id);
    RETURN NULL;
END $$;

CREATE TRIGGER search_brand AFTER UPDATE OF name ON catalog_brand FOR EACH ROW
    WHEN (NEW.name <> OLD.name) EXECUTE FUNCTION catalog_search_brand();

-- ?search=words
CREATE INDEX producttext_search ON catalog_producttext USING gin (search);
-- ?attr.NAME=value, as attributes @> '{"NAME": value}'
CREATE INDEX product_by_attributes ON catalog_product USING gin (attributes jsonb_path_ops);
