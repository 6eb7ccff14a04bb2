-- Category.breadcrumb: the names from the root down.
WITH RECURSIVE crumbs (id, crumb) AS (
    SELECT id, replace(name, '>', '\>') FROM catalog_category WHERE parent_id IS NULL
    UNION ALL
    SELECT c.id, crumbs.crumb || ' > ' || replace(c.name, '>', '\>')
    FROM catalog_category c JOIN crumbs ON c.parent_id = crumbs.id
)
UPDATE catalog_category SET breadcrumb = crumb FROM crumbs WHERE crumbs.id = catalog_category.id;

CREATE TRIGGER breadcrumb_insert AFTER INSERT ON catalog_category
BEGIN
    UPDATE catalog_category SET breadcrumb =
        coalesce((SELECT breadcrumb || ' > ' FROM catalog_category WHERE id = NEW.parent_id), '')
        || replace(NEW.name, '>', '\>')
    WHERE id = NEW.id;
END;

-- Those below begin with the row's old breadcrumb, since a name is once below its parent.
CREATE TRIGGER breadcrumb_update AFTER UPDATE OF name, parent_id, breadcrumb ON catalog_category
BEGIN
    UPDATE catalog_category SET breadcrumb =
        coalesce((SELECT breadcrumb || ' > ' FROM catalog_category WHERE id = NEW.parent_id), '')
        || replace(NEW.name, '>', '\>')
    WHERE id = NEW.id;
    UPDATE catalog_category SET breadcrumb =
        (SELECT breadcrumb FROM catalog_category WHERE id = NEW.id) || substr(breadcrumb, length(OLD.breadcrumb) + 1)
    WHERE substr(breadcrumb, 1, length(OLD.breadcrumb) + 3) = OLD.breadcrumb || ' > '
        AND OLD.breadcrumb <> (SELECT breadcrumb FROM catalog_category WHERE id = NEW.id);
END;
