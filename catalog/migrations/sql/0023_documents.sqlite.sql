-- Search documents without case, accents and names of brands. Servers of the former release search the old tables until
-- all rows are here; those are kept right until the last of these migrations.
-- compounds: each two words as one, and words with signs. brand: `b7`. tenfold_fold and tenfold_compounds are Python's
-- (config/api/database/connections.py).
CREATE VIRTUAL TABLE catalog_document USING fts5(
    title, compounds, brand, description, tokenize = "unicode61 remove_diacritics 0 categories 'L* M* N* Co'");

-- SKU and title by the letters inside their words. brand: `#7#`.
CREATE VIRTUAL TABLE catalog_parts USING fts5(names, brand, tokenize = 'trigram');

CREATE TRIGGER document_product_insert AFTER INSERT ON catalog_product
BEGIN
    INSERT INTO catalog_document (rowid, title, compounds, brand, description)
    SELECT NEW.id, tenfold_fold(named), tenfold_compounds(named), 'b' || NEW.brand_id, ''
    FROM (SELECT NEW.sku || ' ' || NEW.title AS named);
    INSERT INTO catalog_parts (rowid, names, brand)
    VALUES (NEW.id, tenfold_fold(NEW.sku || ' ' || NEW.title), '#' || NEW.brand_id || '#');
END;

-- A row that isn't filled yet stays so.
CREATE TRIGGER document_product_update AFTER UPDATE OF sku, title, brand_id ON catalog_product
WHEN (NEW.sku, NEW.title, NEW.brand_id) IS NOT (OLD.sku, OLD.title, OLD.brand_id)
BEGIN
    UPDATE catalog_document SET title = tenfold_fold(NEW.sku || ' ' || NEW.title),
        compounds = tenfold_compounds(NEW.sku || ' ' || NEW.title), brand = 'b' || NEW.brand_id
    WHERE rowid = NEW.id;
    UPDATE catalog_parts SET names = tenfold_fold(NEW.sku || ' ' || NEW.title), brand = '#' || NEW.brand_id || '#'
    WHERE rowid = NEW.id;
END;

CREATE TRIGGER document_product_delete AFTER DELETE ON catalog_product
BEGIN
    DELETE FROM catalog_document WHERE rowid = OLD.id;
    DELETE FROM catalog_parts WHERE rowid = OLD.id;
END;

CREATE TRIGGER document_text_insert AFTER INSERT ON catalog_producttext WHEN NEW.description <> ''
BEGIN
    UPDATE catalog_document SET description = tenfold_fold(NEW.description) WHERE rowid = NEW.product_id;
END;

CREATE TRIGGER document_text_update AFTER UPDATE OF description ON catalog_producttext
WHEN NEW.description <> OLD.description
BEGIN
    UPDATE catalog_document SET description = tenfold_fold(NEW.description) WHERE rowid = NEW.product_id;
END;
