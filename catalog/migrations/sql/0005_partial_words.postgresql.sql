-- SKU, title and brand in lower case, for what a search by beginnings doesn't find: 'conut' in 'Coconut oil'. Beside the
-- search document and not on the product, where each price change would write its index too.
ALTER TABLE catalog_producttext ADD COLUMN names text NOT NULL DEFAULT '';

CREATE OR REPLACE FUNCTION catalog_search_document() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT setweight(catalog_words(p.sku || ' ' || p.title), 'A')
        || setweight(catalog_words(coalesce(b.name, '')), 'B')
        || setweight(catalog_words(NEW.description), 'C'),
        lower(concat_ws(' ', p.sku, p.title, b.name))
    INTO NEW.search, NEW.names
    FROM catalog_product p LEFT JOIN catalog_brand b ON b.id = p.brand_id WHERE p.id = NEW.product_id;
    NEW.search := coalesce(NEW.search, '');
    NEW.names := coalesce(NEW.names, '');
    RETURN NEW;
END $$;

-- Without triggers: nothing that a client sees has changed, and the search documents stay as they are.
ALTER TABLE catalog_producttext DISABLE TRIGGER USER;
UPDATE catalog_producttext t SET names = lower(concat_ws(' ', p.sku, p.title, b.name))
FROM catalog_product p LEFT JOIN catalog_brand b ON b.id = p.brand_id WHERE p.id = t.product_id;
ALTER TABLE catalog_producttext ENABLE TRIGGER USER;

-- ?search=words, by parts of them
CREATE INDEX producttext_names ON catalog_producttext USING gin (names gin_trgm_ops);
