-- Locations are declared. Orders take from the sellable ones, so Product.in_stock counts what is free there.

-- What an older release has apart by case is joined.
UPDATE catalog_stock t SET on_hand = t.on_hand + s.on_hand, reserved = t.reserved + s.reserved
FROM (SELECT variant_id, lower(location) AS code, sum(on_hand) AS on_hand, sum(reserved) AS reserved
      FROM catalog_stock WHERE location <> lower(location) GROUP BY variant_id, lower(location)) s
WHERE t.variant_id = s.variant_id AND t.location = s.code;
DELETE FROM catalog_stock s WHERE location <> lower(location)
    AND EXISTS (SELECT FROM catalog_stock t WHERE t.variant_id = s.variant_id AND t.location = lower(s.location));
UPDATE catalog_stock t SET on_hand = s.on_hand, reserved = s.reserved
FROM (SELECT min(id) AS id, sum(on_hand) AS on_hand, sum(reserved) AS reserved FROM catalog_stock
      WHERE location <> lower(location) GROUP BY variant_id, lower(location) HAVING count(*) > 1) s
WHERE t.id = s.id;
DELETE FROM catalog_stock s WHERE location <> lower(location) AND EXISTS (
    SELECT FROM catalog_stock t
    WHERE t.variant_id = s.variant_id AND lower(t.location) = lower(s.location) AND t.id < s.id);
UPDATE catalog_stock SET location = lower(location) WHERE location <> lower(location);

-- Nothing changes for orders: they go on to take from main alone, until somebody makes another one sellable.
INSERT INTO catalog_location (code, name, sellable, priority, version, created_at, updated_at)
VALUES ('main', 'Main', true, 1, 1, now(), now());
INSERT INTO catalog_location (code, name, sellable, priority, version, created_at, updated_at)
SELECT DISTINCT location, location, false, 2, 1, now(), now() FROM catalog_stock WHERE location <> 'main';

-- From here on the triggers go by `sellable`.
-- The lock is shared by all who go by `sellable`. Who settles a location that was switched waits for them (locations.py).
CREATE OR REPLACE FUNCTION catalog_derive_stock(products bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared('catalog_location'::regclass::oid::bigint);
    PERFORM catalog_lock_products(products);
    UPDATE catalog_product p SET in_stock = NOT p.in_stock
    WHERE p.id = ANY (products) AND p.in_stock <> EXISTS (
        SELECT FROM catalog_stock s JOIN catalog_variant v ON v.id = s.variant_id
            JOIN catalog_location l ON l.code = s.location AND l.sellable
        WHERE v.product_id = p.id AND s.on_hand > s.reserved);
END $$;
ALTER FUNCTION catalog_derive_stock(bigint[]) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION catalog_derive_stock(bigint[]) SET enable_seqscan = off;

-- An UPDATE matters only where free pieces appear, run out or go to another place; most sales do none of it.
CREATE OR REPLACE FUNCTION catalog_stock_updated() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE variants bigint[] := ARRAY(
    SELECT unnest(ARRAY[b.variant_id, c.variant_id]) FROM before b JOIN changed c USING (id)
    WHERE (b.variant_id, b.location, b.on_hand > b.reserved) <> (c.variant_id, c.location, c.on_hand > c.reserved));
BEGIN
    IF variants <> '{}' THEN
        PERFORM catalog_derive_stock(ARRAY(
            SELECT DISTINCT product_id FROM catalog_variant WHERE id = ANY (variants)));
    END IF;
    RETURN NULL;
END $$;

-- catalog/locations.py moves Product.in_stock from settled_to on. The code of a location with stock is for life.
CREATE FUNCTION catalog_location_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.settled_to := CASE WHEN NEW.sellable THEN 0 END;
        RETURN NEW;
    END IF;
    IF (TG_OP = 'DELETE' OR NEW.code <> OLD.code) AND EXISTS (SELECT FROM catalog_stock WHERE location = OLD.code) THEN
        RAISE EXCEPTION 'the location % has stock', OLD.code USING ERRCODE = 'check_violation';
    ELSIF TG_OP = 'DELETE' THEN
        RETURN OLD;
    ELSIF NEW.sellable <> OLD.sellable THEN
        NEW.settled_to := 0;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER settle BEFORE INSERT OR DELETE OR UPDATE OF code, sellable ON catalog_location
    FOR EACH ROW EXECUTE FUNCTION catalog_location_changed();
