-- The words of active products' titles and of brands, by which a search corrects slips of the pen. Triggers only append
-- what has changed (catalog_word_change), so that no two writers wait for each other; a chore counts it
-- (catalog/search/vocabulary.py).
CREATE TABLE catalog_word_change (id bigserial PRIMARY KEY, words text NOT NULL, products integer NOT NULL);
-- By code points, as on SQLite, so that an index serves the beginnings of words.
CREATE TABLE catalog_word (word text COLLATE "C" PRIMARY KEY, products integer NOT NULL);
CREATE TABLE catalog_word_slip (slip text COLLATE "C", word text COLLATE "C", PRIMARY KEY (slip, word));
-- Products up to `last` are counted, and those above `most`, which came after the triggers.
CREATE TABLE catalog_word_fill (last bigint NOT NULL, most bigint NOT NULL);
INSERT INTO catalog_word_fill SELECT 0, coalesce(max(id), 0) FROM catalog_product;

CREATE FUNCTION catalog_words_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO catalog_word_change (words, products) SELECT title_key, 1 FROM changed, catalog_word_fill
    WHERE status = 'active' AND (id <= last OR id > most);
    RETURN NULL;
END $$;

CREATE FUNCTION catalog_words_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO catalog_word_change (words, products) SELECT title_key, -1 FROM changed, catalog_word_fill
    WHERE status = 'active' AND (id <= last OR id > most);
    RETURN NULL;
END $$;

CREATE FUNCTION catalog_words_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO catalog_word_change (words, products) SELECT words, products
    FROM (VALUES (OLD.title_key, -1, OLD.status), (NEW.title_key, 1, NEW.status)) v (words, products, status),
        catalog_word_fill
    WHERE status = 'active' AND (NEW.id <= last OR NEW.id > most);
    RETURN NULL;
END $$;

CREATE TRIGGER words_inserted AFTER INSERT ON catalog_product REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_words_inserted();
CREATE TRIGGER words_deleted AFTER DELETE ON catalog_product REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_words_deleted();
CREATE TRIGGER words_updated AFTER UPDATE OF title, title_key, status ON catalog_product FOR EACH ROW
    WHEN ((NEW.title_key, NEW.status) IS DISTINCT FROM (OLD.title_key, OLD.status))
    EXECUTE FUNCTION catalog_words_updated();

CREATE FUNCTION catalog_brand_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO catalog_word_change (words, products) VALUES (tenfold_fold(OLD.name), -1);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO catalog_word_change (words, products) VALUES (tenfold_fold(NEW.name), 1);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER words_changed AFTER INSERT OR DELETE OR UPDATE OF name ON catalog_brand
    FOR EACH ROW EXECUTE FUNCTION catalog_brand_words();
INSERT INTO catalog_word_change (words, products) SELECT tenfold_fold(name), 1 FROM catalog_brand;
