-- What is written before its product costs the product's triggers nothing. So they take a text that is there already.
DROP TRIGGER document_product_insert;
CREATE TRIGGER document_product_insert AFTER INSERT ON catalog_product
BEGIN
    INSERT INTO catalog_document (rowid, title, compounds, brand, description)
    SELECT NEW.id, tenfold_fold(named), tenfold_compounds(named), 'b' || NEW.brand_id,
        tenfold_fold(coalesce((SELECT description FROM catalog_producttext WHERE product_id = NEW.id), ''))
    FROM (SELECT NEW.sku || ' ' || NEW.title AS named);
    INSERT INTO catalog_parts (rowid, names, brand)
    VALUES (NEW.id, tenfold_fold(NEW.sku || ' ' || NEW.title), '#' || NEW.brand_id || '#');
END;
DROP TRIGGER title_key_insert;
