DROP FUNCTION catalog_search_document() CASCADE; -- with the triggers that execute them
DROP FUNCTION catalog_search_again() CASCADE;
DROP FUNCTION catalog_search_brand() CASCADE;
ALTER TABLE catalog_producttext DROP COLUMN search, DROP COLUMN names;
DROP FUNCTION catalog_words(text);
