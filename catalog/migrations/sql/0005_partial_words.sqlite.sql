-- SKU, title and brand by the letters inside their words, for what a search by beginnings doesn't find: 'conut' in
-- 'Coconut oil'.
CREATE VIRTUAL TABLE catalog_names USING fts5(names, tokenize = 'trigram');

INSERT INTO catalog_names (rowid, names)
SELECT p.id, p.sku || ' ' || p.title || ' ' || coalesce(b.name, '')
FROM catalog_product p LEFT JOIN catalog_brand b ON b.id = p.brand_id;

CREATE TRIGGER names_product_insert AFTER INSERT ON catalog_product
BEGIN
    INSERT INTO catalog_names (rowid, names) VALUES (NEW.id, NEW.sku || ' ' || NEW.title || ' ' ||
        coalesce((SELECT name FROM catalog_brand WHERE id = NEW.brand_id), ''));
END;

CREATE TRIGGER names_product_update AFTER UPDATE OF sku, title, brand_id ON catalog_product
WHEN (NEW.sku, NEW.title, NEW.brand_id) IS NOT (OLD.sku, OLD.title, OLD.brand_id)
BEGIN
    UPDATE catalog_names SET names = NEW.sku || ' ' || NEW.title || ' ' ||
        coalesce((SELECT name FROM catalog_brand WHERE id = NEW.brand_id), '')
    WHERE rowid = NEW.id;
END;

CREATE TRIGGER names_product_delete AFTER DELETE ON catalog_product
BEGIN
    DELETE FROM catalog_names WHERE rowid = OLD.id;
END;

CREATE TRIGGER names_brand AFTER UPDATE OF name ON catalog_brand WHEN NEW.name <> OLD.name
BEGIN
    UPDATE catalog_names SET names = (SELECT sku || ' ' || title FROM catalog_product WHERE id = rowid) || ' ' || NEW.name
    WHERE rowid IN (SELECT id FROM catalog_product WHERE brand_id = NEW.id);
END;
