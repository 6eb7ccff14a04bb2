-- Locations are declared. Orders take from the sellable ones, so Product.in_stock counts what is free there.

-- What an older release has apart by case is joined.
UPDATE catalog_stock AS t SET on_hand = t.on_hand + s.on_hand, reserved = t.reserved + s.reserved
FROM (SELECT variant_id, lower(location) AS code, sum(on_hand) AS on_hand, sum(reserved) AS reserved
      FROM catalog_stock WHERE location <> lower(location) GROUP BY variant_id, lower(location)) s
WHERE t.variant_id = s.variant_id AND t.location = s.code;
DELETE FROM catalog_stock AS s WHERE location <> lower(location)
    AND EXISTS (SELECT 1 FROM catalog_stock t WHERE t.variant_id = s.variant_id AND t.location = lower(s.location));
UPDATE catalog_stock AS t SET on_hand = s.on_hand, reserved = s.reserved
FROM (SELECT min(id) AS id, sum(on_hand) AS on_hand, sum(reserved) AS reserved FROM catalog_stock
      WHERE location <> lower(location) GROUP BY variant_id, lower(location) HAVING count(*) > 1) s
WHERE t.id = s.id;
DELETE FROM catalog_stock AS s WHERE location <> lower(location) AND EXISTS (
    SELECT 1 FROM catalog_stock t
    WHERE t.variant_id = s.variant_id AND lower(t.location) = lower(s.location) AND t.id < s.id);
UPDATE catalog_stock SET location = lower(location) WHERE location <> lower(location);

-- Nothing changes for orders: they go on to take from main alone, until somebody makes another one sellable.
INSERT INTO catalog_location (code, name, sellable, priority, version, created_at, updated_at)
SELECT 'main', 'Main', true, 1, 1, n.now, n.now FROM catalog_now n;
INSERT INTO catalog_location (code, name, sellable, priority, version, created_at, updated_at)
SELECT DISTINCT location, location, false, 2, 1, n.now, n.now FROM catalog_stock JOIN catalog_now n WHERE location <> 'main';

-- From here on the triggers go by `sellable`.
DROP TRIGGER stock_insert;
DROP TRIGGER stock_update;
DROP TRIGGER stock_variant_move;
DROP TRIGGER stock_delete;
DROP TRIGGER stock_variant_delete;

CREATE TRIGGER stock_insert AFTER INSERT ON catalog_stock
BEGIN
    UPDATE catalog_product SET in_stock = NOT in_stock
    WHERE id = (SELECT product_id FROM catalog_variant WHERE id = NEW.variant_id) AND in_stock <> EXISTS (
        SELECT 1 FROM catalog_stock s JOIN catalog_variant v ON v.id = s.variant_id
        JOIN catalog_location l ON l.code = s.location AND l.sellable
        WHERE v.product_id = catalog_product.id AND s.on_hand > s.reserved);
END;

-- An UPDATE matters only where free pieces appear, run out or go to another place; most sales do none of it.
CREATE TRIGGER stock_update AFTER UPDATE ON catalog_stock
WHEN (NEW.variant_id, NEW.location, NEW.on_hand > NEW.reserved)
    <> (OLD.variant_id, OLD.location, OLD.on_hand > OLD.reserved)
BEGIN
    UPDATE catalog_product SET in_stock = NOT in_stock
    WHERE id IN (SELECT product_id FROM catalog_variant WHERE id IN (NEW.variant_id, OLD.variant_id))
        AND in_stock <> EXISTS (
        SELECT 1 FROM catalog_stock s JOIN catalog_variant v ON v.id = s.variant_id
        JOIN catalog_location l ON l.code = s.location AND l.sellable
        WHERE v.product_id = catalog_product.id AND s.on_hand > s.reserved);
END;

CREATE TRIGGER stock_variant_move AFTER UPDATE OF product_id ON catalog_variant
WHEN NEW.product_id <> OLD.product_id
BEGIN
    UPDATE catalog_product SET in_stock = NOT in_stock
    WHERE id IN (NEW.product_id, OLD.product_id) AND in_stock <> EXISTS (
        SELECT 1 FROM catalog_stock s JOIN catalog_variant v ON v.id = s.variant_id
        JOIN catalog_location l ON l.code = s.location AND l.sellable
        WHERE v.product_id = catalog_product.id AND s.on_hand > s.reserved);
END;

CREATE TRIGGER stock_delete AFTER DELETE ON catalog_stock
BEGIN
    UPDATE catalog_product SET in_stock = NOT in_stock
    WHERE id = (SELECT product_id FROM catalog_variant WHERE id = OLD.variant_id) AND in_stock <> EXISTS (
        SELECT 1 FROM catalog_stock s JOIN catalog_variant v ON v.id = s.variant_id
        JOIN catalog_location l ON l.code = s.location AND l.sellable
        WHERE v.product_id = catalog_product.id AND s.on_hand > s.reserved);
END;

-- A deleted variant takes its stock with it, and then its product can't be found from the stock row.
CREATE TRIGGER stock_variant_delete AFTER DELETE ON catalog_variant
BEGIN
    UPDATE catalog_product SET in_stock = NOT in_stock
    WHERE id = OLD.product_id AND in_stock <> EXISTS (
        SELECT 1 FROM catalog_stock s JOIN catalog_variant v ON v.id = s.variant_id
        JOIN catalog_location l ON l.code = s.location AND l.sellable
        WHERE v.product_id = catalog_product.id AND s.on_hand > s.reserved);
END;

-- catalog/locations.py moves Product.in_stock from settled_to on. The code of a location with stock is for life.
CREATE TRIGGER settle_insert AFTER INSERT ON catalog_location
BEGIN
    UPDATE catalog_location SET settled_to = iif(NEW.sellable, 0, NULL) WHERE id = NEW.id;
END;

CREATE TRIGGER settle_update AFTER UPDATE OF sellable ON catalog_location WHEN NEW.sellable <> OLD.sellable
BEGIN
    UPDATE catalog_location SET settled_to = 0 WHERE id = NEW.id;
END;

CREATE TRIGGER settle_code BEFORE UPDATE OF code ON catalog_location WHEN NEW.code <> OLD.code
BEGIN
    SELECT RAISE(ABORT, 'the location has stock') WHERE EXISTS (SELECT 1 FROM catalog_stock WHERE location = OLD.code);
END;

CREATE TRIGGER settle_delete BEFORE DELETE ON catalog_location
BEGIN
    SELECT RAISE(ABORT, 'the location has stock') WHERE EXISTS (SELECT 1 FROM catalog_stock WHERE location = OLD.code);
END;
