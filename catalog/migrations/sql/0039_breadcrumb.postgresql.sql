-- Category.breadcrumb: the names from the root down.
WITH RECURSIVE crumbs (id, crumb) AS (
    SELECT id, replace(name, '>', '\>') FROM catalog_category WHERE parent_id IS NULL
    UNION ALL
    SELECT c.id, crumbs.crumb || ' > ' || replace(c.name, '>', '\>')
    FROM catalog_category c JOIN crumbs ON c.parent_id = crumbs.id
)
UPDATE catalog_category SET breadcrumb = crumb FROM crumbs WHERE crumbs.id = catalog_category.id;

-- As a move does (lock_category_update): a child that is inserted meanwhile would keep its parent's old name.
CREATE TRIGGER lock_category_rename BEFORE UPDATE OF name ON catalog_category
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_category_lock();

CREATE FUNCTION catalog_write_breadcrumb() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.breadcrumb := concat_ws(' > ',
        (SELECT breadcrumb FROM catalog_category WHERE id = NEW.parent_id), replace(NEW.name, '>', '\>'));
    RETURN NEW;
END $$;

CREATE TRIGGER breadcrumb BEFORE INSERT OR UPDATE OF name, parent_id, breadcrumb ON catalog_category
    FOR EACH ROW EXECUTE FUNCTION catalog_write_breadcrumb();

-- The rows below follow, level by level: the trigger above replaces the value.
CREATE FUNCTION catalog_spread_breadcrumb() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE catalog_category SET breadcrumb = '' WHERE parent_id = NEW.id;
    RETURN NULL;
END $$;

CREATE TRIGGER spread_breadcrumb AFTER UPDATE OF name, parent_id, breadcrumb ON catalog_category
    FOR EACH ROW WHEN (NEW.breadcrumb <> OLD.breadcrumb) EXECUTE FUNCTION catalog_spread_breadcrumb();
