-- version and updated_at move with each real change of a row.
CREATE FUNCTION catalog_touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := OLD.version;
    NEW.updated_at := OLD.updated_at;
    IF NEW IS DISTINCT FROM OLD THEN
        NEW.version := OLD.version + 1;
        NEW.updated_at := clock_timestamp();
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER touch_brand BEFORE UPDATE ON catalog_brand FOR EACH ROW EXECUTE FUNCTION catalog_touch();
-- PostgreSQL fires triggers by name: touch_category must see the path that path_category sets.
CREATE TRIGGER touch_category BEFORE UPDATE ON catalog_category FOR EACH ROW EXECUTE FUNCTION catalog_touch();
CREATE TRIGGER touch_product BEFORE UPDATE ON catalog_product FOR EACH ROW EXECUTE FUNCTION catalog_touch();
CREATE TRIGGER touch_variant BEFORE UPDATE ON catalog_variant FOR EACH ROW EXECUTE FUNCTION catalog_touch();

-- Category.path: the ids from the root down, ten digits each.
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

-- Product.price: the lowest price of its variants. Statement triggers, so a bulk write pays once.
CREATE FUNCTION catalog_derive_price() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE catalog_product p SET price = v.price
    FROM (SELECT product_id, min(price) AS price FROM catalog_variant
          WHERE product_id IN (SELECT product_id FROM changed) GROUP BY product_id) v
    WHERE p.id = v.product_id AND p.price <> v.price;
    RETURN NULL;
END $$;

CREATE TRIGGER price_insert AFTER INSERT ON catalog_variant REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_derive_price();
CREATE TRIGGER price_update AFTER UPDATE ON catalog_variant REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_derive_price();
CREATE TRIGGER price_delete AFTER DELETE ON catalog_variant REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_derive_price();

-- Product.in_stock: some variant has a piece that is not reserved.
CREATE FUNCTION catalog_derive_stock(products bigint[]) RETURNS void LANGUAGE sql AS $$
    UPDATE catalog_product p SET in_stock = NOT p.in_stock
    WHERE p.id = ANY (products) AND p.in_stock <> EXISTS (
        SELECT FROM catalog_stock s JOIN catalog_variant v ON v.id = s.variant_id
        WHERE v.product_id = p.id AND s.on_hand > s.reserved)
$$;

CREATE FUNCTION catalog_stock_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM catalog_derive_stock(ARRAY(
        SELECT DISTINCT v.product_id FROM catalog_variant v WHERE v.id IN (SELECT variant_id FROM changed)));
    RETURN NULL;
END $$;

-- An UPDATE matters only where free pieces appear or run out; most sales do neither.
CREATE FUNCTION catalog_stock_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM catalog_derive_stock(ARRAY(
        SELECT DISTINCT v.product_id FROM catalog_variant v JOIN (
            SELECT variant_id, on_hand > reserved AS free FROM changed
            EXCEPT SELECT variant_id, on_hand > reserved FROM before) s ON v.id = s.variant_id))
    WHERE EXISTS (SELECT variant_id, on_hand > reserved AS free FROM changed
            EXCEPT SELECT variant_id, on_hand > reserved FROM before);
    RETURN NULL;
END $$;

CREATE TRIGGER stock_insert AFTER INSERT ON catalog_stock REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_stock_changed();
CREATE TRIGGER stock_update AFTER UPDATE ON catalog_stock REFERENCING OLD TABLE AS before NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_stock_updated();
CREATE TRIGGER stock_delete AFTER DELETE ON catalog_stock REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_stock_changed();

-- A deleted variant takes its stock with it, and then its product can't be found from the stock row.
CREATE FUNCTION catalog_variant_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM catalog_derive_stock(ARRAY(SELECT DISTINCT product_id FROM changed));
    RETURN NULL;
END $$;

CREATE TRIGGER stock_variant_delete AFTER DELETE ON catalog_variant REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_variant_deleted();

-- Product.image_url: its first image, or ''.
CREATE FUNCTION catalog_derive_image() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE catalog_product p SET image_url = f.url
    FROM (SELECT c.product_id, coalesce((
              SELECT i.url FROM catalog_image i WHERE i.product_id = c.product_id
              ORDER BY i.position, i.id LIMIT 1), '') AS url
          FROM (SELECT DISTINCT product_id FROM changed) c) f
    WHERE p.id = f.product_id AND p.image_url <> f.url;
    RETURN NULL;
END $$;

CREATE TRIGGER image_insert AFTER INSERT ON catalog_image REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_derive_image();
CREATE TRIGGER image_update AFTER UPDATE ON catalog_image REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_derive_image();
CREATE TRIGGER image_delete AFTER DELETE ON catalog_image REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_derive_image();

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
