-- catalog_follow_changes(), and `tally` among the changed entities if a product behind `after` came, went, or has
-- another brand, category or status than before a change. What a product has now is compared: where a later change took
-- an earlier one back, the numbers are the former ones again. That later change is told when it gets its position.
-- It is another function, since servers of the former release call that one, and don't know this entity.
CREATE FUNCTION catalog_follow_counts(after bigint, most integer,
                                      OUT newest bigint, OUT changed text[]) LANGUAGE plpgsql AS $$
BEGIN
    SELECT followed.newest, followed.changed INTO newest, changed FROM catalog_follow_changes(after, most) followed;
    IF 'product' = ANY (changed) AND EXISTS (
        SELECT FROM catalog_change c LEFT JOIN catalog_product p ON p.id = c.entity_id
        WHERE c.position > after AND c.entity = 'product' AND (
            c.op <> 'update' OR c.before IS NULL OR p.id IS NULL
            OR ROW(c.before ->> 'brand_id', c.before ->> 'category_id', c.before ->> 'status')
               IS DISTINCT FROM ROW(p.brand_id::text, p.category_id::text, p.status::text)
        )
    ) THEN
        changed := changed || ARRAY['tally'];
    END IF;
END $$;

DO $do$
BEGIN
    EXECUTE format('ALTER FUNCTION catalog_follow_counts(bigint, integer) SECURITY DEFINER
                    SET search_path = %I, pg_temp', current_schema());
END $do$;
