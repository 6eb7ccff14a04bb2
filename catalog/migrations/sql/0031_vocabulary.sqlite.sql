-- The words of active products' titles and of brands, by which a search corrects slips of the pen. Triggers append what
-- has changed (catalog_word_change); a chore counts it (catalog/search/vocabulary.py).
CREATE TABLE catalog_word_change (id integer PRIMARY KEY, words text NOT NULL, products integer NOT NULL);
CREATE TABLE catalog_word (word text PRIMARY KEY, products integer NOT NULL) WITHOUT ROWID;
CREATE TABLE catalog_word_slip (slip text, word text, PRIMARY KEY (slip, word)) WITHOUT ROWID;
-- Products up to `last` are counted, and those above `most`, which came after the triggers.
CREATE TABLE catalog_word_fill (last integer NOT NULL, most integer NOT NULL);
INSERT INTO catalog_word_fill SELECT 0, coalesce(max(id), 0) FROM catalog_product;

CREATE TRIGGER words_product_insert AFTER INSERT ON catalog_product WHEN NEW.status = 'active'
BEGIN
    INSERT INTO catalog_word_change (words, products) SELECT tenfold_fold(NEW.title), 1 FROM catalog_word_fill
    WHERE NEW.id <= last OR NEW.id > most;
END;

CREATE TRIGGER words_product_delete AFTER DELETE ON catalog_product WHEN OLD.status = 'active'
BEGIN
    INSERT INTO catalog_word_change (words, products) SELECT tenfold_fold(OLD.title), -1 FROM catalog_word_fill
    WHERE OLD.id <= last OR OLD.id > most;
END;

CREATE TRIGGER words_product_update AFTER UPDATE OF title, status ON catalog_product
WHEN (NEW.title, NEW.status) IS NOT (OLD.title, OLD.status)
BEGIN
    INSERT INTO catalog_word_change (words, products) SELECT tenfold_fold(OLD.title), -1 FROM catalog_word_fill
    WHERE OLD.status = 'active' AND (NEW.id <= last OR NEW.id > most);
    INSERT INTO catalog_word_change (words, products) SELECT tenfold_fold(NEW.title), 1 FROM catalog_word_fill
    WHERE NEW.status = 'active' AND (NEW.id <= last OR NEW.id > most);
END;

CREATE TRIGGER words_brand_insert AFTER INSERT ON catalog_brand
BEGIN
    INSERT INTO catalog_word_change (words, products) VALUES (tenfold_fold(NEW.name), 1);
END;

CREATE TRIGGER words_brand_delete AFTER DELETE ON catalog_brand
BEGIN
    INSERT INTO catalog_word_change (words, products) VALUES (tenfold_fold(OLD.name), -1);
END;

CREATE TRIGGER words_brand_update AFTER UPDATE OF name ON catalog_brand WHEN NEW.name <> OLD.name
BEGIN
    INSERT INTO catalog_word_change (words, products)
    VALUES (tenfold_fold(OLD.name), -1), (tenfold_fold(NEW.name), 1);
END;

INSERT INTO catalog_word_change (words, products) SELECT tenfold_fold(name), 1 FROM catalog_brand;
