DROP TRIGGER stock_insert;
DROP TRIGGER stock_update;
DROP TRIGGER stock_variant_move;
DROP TRIGGER stock_delete;
DROP TRIGGER stock_variant_delete;

-- Product.in_stock: an order can reserve a piece of some variant. Orders take from the location main alone.
CREATE TRIGGER stock_insert AFTER INSERT ON catalog_stock
BEGIN
    UPDATE catalog_product SET in_stock = NOT in_stock
    WHERE id = (SELECT product_id FROM catalog_variant WHERE id = NEW.variant_id) AND in_stock <> EXISTS (
        SELECT 1 FROM catalog_stock s JOIN catalog_variant v ON v.id = s.variant_id
        WHERE v.product_id = catalog_product.id AND s.location = 'main' AND s.on_hand > s.reserved);
END;

CREATE TRIGGER stock_update AFTER UPDATE ON catalog_stock
WHEN (NEW.variant_id, NEW.location = 'main' AND NEW.on_hand > NEW.reserved)
    <> (OLD.variant_id, OLD.location = 'main' AND OLD.on_hand > OLD.reserved)
BEGIN
    UPDATE catalog_product SET in_stock = NOT in_stock
    WHERE id IN (SELECT product_id FROM catalog_variant WHERE id IN (NEW.variant_id, OLD.variant_id))
        AND in_stock <> EXISTS (
            SELECT 1 FROM catalog_stock s JOIN catalog_variant v ON v.id = s.variant_id
            WHERE v.product_id = catalog_product.id AND s.location = 'main' AND s.on_hand > s.reserved);
END;

CREATE TRIGGER stock_variant_move AFTER UPDATE OF product_id ON catalog_variant
WHEN NEW.product_id <> OLD.product_id
BEGIN
    UPDATE catalog_product SET in_stock = NOT in_stock
    WHERE id IN (NEW.product_id, OLD.product_id) AND in_stock <> EXISTS (
        SELECT 1 FROM catalog_stock s JOIN catalog_variant v ON v.id = s.variant_id
        WHERE v.product_id = catalog_product.id AND s.location = 'main' AND s.on_hand > s.reserved);
END;

CREATE TRIGGER stock_delete AFTER DELETE ON catalog_stock
BEGIN
    UPDATE catalog_product SET in_stock = NOT in_stock
    WHERE id = (SELECT product_id FROM catalog_variant WHERE id = OLD.variant_id) AND in_stock <> EXISTS (
        SELECT 1 FROM catalog_stock s JOIN catalog_variant v ON v.id = s.variant_id
        WHERE v.product_id = catalog_product.id AND s.location = 'main' AND s.on_hand > s.reserved);
END;

-- A deleted variant takes its stock with it, and then its product can't be found from the stock row.
CREATE TRIGGER stock_variant_delete AFTER DELETE ON catalog_variant
BEGIN
    UPDATE catalog_product SET in_stock = NOT in_stock
    WHERE id = OLD.product_id AND in_stock <> EXISTS (
        SELECT 1 FROM catalog_stock s JOIN catalog_variant v ON v.id = s.variant_id
        WHERE v.product_id = catalog_product.id AND s.location = 'main' AND s.on_hand > s.reserved);
END;

UPDATE catalog_product SET in_stock = NOT in_stock
WHERE in_stock <> EXISTS (
    SELECT 1 FROM catalog_stock s JOIN catalog_variant v ON v.id = s.variant_id
    WHERE v.product_id = catalog_product.id AND s.location = 'main' AND s.on_hand > s.reserved);
