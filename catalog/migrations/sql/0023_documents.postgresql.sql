-- Search documents without case, accents and names of brands. Until it is filled, a row's document is null; servers of
-- the former release search the former columns meanwhile, which are kept right until the last of these migrations.
-- parts: SKU and title, folded.
ALTER TABLE catalog_producttext ADD COLUMN document tsvector, ADD COLUMN parts text;

-- The parser would read "LMP-1" as a word and a negative number, and "a.b" as a host.
CREATE FUNCTION catalog_spell(folded text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT translate(folded, '-_/.:@', '      ')
$$;

-- As config/api/database/words.py, each with a = in front, which no word of the parser has.
CREATE FUNCTION catalog_compounds(folded text) RETURNS text[] LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    -- translate() walks through its list for each character: what titles have most is found at once.
    words text[] := array_remove(string_to_array(translate(folded,
        'eaoinrtslcdumhpgbfykwvxzjq0123456789 -_/.:@+#''"’‘“”„«»(){}[]<>&*,;!?|%$€£=~^`´\®™©°²³½¼¾–—·•…',
        'eaoinrtslcdumhpgbfykwvxzjq0123456789' || repeat(' ', 57)), ' '), '');
    joined text[] := '{}';
BEGIN
    FOR n IN 2..cardinality(words) LOOP
        joined := joined || ('=' || left(left(words[n - 1], 200) || left(words[n], 200), 200));
    END LOOP;
    IF strpos(folded, '+') > 0 OR strpos(folded, '#') > 0 THEN
        joined := joined || ARRAY(
            SELECT '=' || left(part[1], 200) || replace(replace(part[2], '+', 'plus'), '#', 'sharp')
            FROM regexp_matches(folded, '([[:alnum:]]+)([+#]{1,10})', 'g') pieces (part));
    END IF;
    RETURN joined;
END $$;

-- `folded` has SKU and title.
CREATE FUNCTION catalog_make_document(folded text, description text, brand bigint) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT setweight(to_tsvector('simple', catalog_spell(folded)), 'A')
        || coalesce(('''brand:' || brand::text || ''':1B')::tsvector, '')
        || array_to_tsvector(catalog_compounds(folded))
        || setweight(to_tsvector('simple', catalog_spell(tenfold_fold(description))), 'C')
$$;

CREATE FUNCTION catalog_write_document() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    brand bigint;
BEGIN
    SELECT tenfold_fold(sku) || ' ' || title_key, brand_id INTO NEW.parts, brand
    FROM catalog_product WHERE id = NEW.product_id;
    NEW.parts := coalesce(NEW.parts, '');
    NEW.document := catalog_make_document(NEW.parts, NEW.description, brand);
    RETURN NEW;
END $$;

CREATE TRIGGER write_document BEFORE INSERT OR UPDATE OF description, document, parts ON catalog_producttext
    FOR EACH ROW EXECUTE FUNCTION catalog_write_document();

CREATE FUNCTION catalog_renew_document() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE catalog_producttext SET document = NULL WHERE product_id = NEW.id;
    RETURN NULL;
END $$;

CREATE TRIGGER renew_document AFTER UPDATE OF sku, title, title_key, brand_id ON catalog_product FOR EACH ROW
    WHEN ((NEW.sku, NEW.title_key, NEW.brand_id) IS DISTINCT FROM (OLD.sku, OLD.title_key, OLD.brand_id))
    EXECUTE FUNCTION catalog_renew_document();

-- ?search=words: the brands that they name
CREATE INDEX brand_by_parts ON catalog_brand USING gin (tenfold_fold(name) gin_trgm_ops);
