-- Without new changes `changed` is NULL, and `NULL AND EXISTS (…)` asks the EXISTS: until the log was analyzed, that read
-- all of it, fifty times a second. So the products are looked for in a statement of their own.
CREATE OR REPLACE FUNCTION catalog_follow_counts(after bigint, most integer,
                                                 OUT newest bigint, OUT changed text[]) LANGUAGE plpgsql AS $$
BEGIN
    SELECT followed.newest, followed.changed INTO newest, changed FROM catalog_follow_changes(after, most) followed;
    IF 'product' = ANY (changed) THEN
        IF EXISTS (
            SELECT FROM catalog_change c LEFT JOIN catalog_product p ON p.id = c.entity_id
            WHERE c.position > after AND c.entity = 'product' AND (
                c.op <> 'update' OR c.before IS NULL OR p.id IS NULL
                OR ROW(c.before ->> 'brand_id', c.before ->> 'category_id', c.before ->> 'status')
                   IS DISTINCT FROM ROW(p.brand_id::text, p.category_id::text, p.status::text)
            )
        ) THEN
            changed := changed || ARRAY['tally'];
        END IF;
    END IF;
END $$;

DO $do$
BEGIN
    EXECUTE format('ALTER FUNCTION catalog_follow_counts(bigint, integer) SECURITY DEFINER
                    SET search_path = %I, pg_temp', current_schema());
END $do$;
