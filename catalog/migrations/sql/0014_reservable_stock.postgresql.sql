-- Product.in_stock: an order can reserve a piece of some variant. Orders take from the location main alone.
CREATE OR REPLACE FUNCTION catalog_derive_stock(products bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM catalog_lock_products(products);
    UPDATE catalog_product p SET in_stock = NOT p.in_stock
    WHERE p.id = ANY (products) AND p.in_stock <> EXISTS (
        SELECT FROM catalog_stock s JOIN catalog_variant v ON v.id = s.variant_id
        WHERE v.product_id = p.id AND s.location = 'main' AND s.on_hand > s.reserved);
END $$;

-- An UPDATE matters only where free pieces appear at main, run out or go to another variant; most sales do none of it.
CREATE OR REPLACE FUNCTION catalog_stock_updated() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE variants bigint[] := ARRAY(
    SELECT unnest(ARRAY[b.variant_id, c.variant_id]) FROM before b JOIN changed c USING (id)
    WHERE (b.variant_id, b.location = 'main' AND b.on_hand > b.reserved)
        <> (c.variant_id, c.location = 'main' AND c.on_hand > c.reserved));
BEGIN
    IF variants <> '{}' THEN
        PERFORM catalog_derive_stock(ARRAY(
            SELECT DISTINCT product_id FROM catalog_variant WHERE id = ANY (variants)));
    END IF;
    RETURN NULL;
END $$;

ALTER FUNCTION catalog_derive_stock(bigint[]) SET plan_cache_mode = force_generic_plan;

UPDATE catalog_product SET in_stock = NOT in_stock
WHERE in_stock <> EXISTS (
    SELECT 1 FROM catalog_stock s JOIN catalog_variant v ON v.id = s.variant_id
    WHERE v.product_id = catalog_product.id AND s.location = 'main' AND s.on_hand > s.reserved);
