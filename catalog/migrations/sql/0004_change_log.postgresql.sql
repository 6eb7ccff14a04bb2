-- The change log. Statement triggers put what was written into an inbox without an index beside its key, within the
-- writer's transaction; catalog_number_changes() moves what is committed into catalog_change and gives it positions.
-- Two tables, since a position is only known after the commit: set by an UPDATE it would write each row, and each of
-- its index entries, twice.
CREATE TABLE catalog_change_inbox (
    -- Taken while the row's lock is held, so two changes of one row are in order, whatever their transactions' order.
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entity varchar(10) NOT NULL,
    entity_id bigint NOT NULL,
    op varchar(10) NOT NULL,
    version integer,
    sku varchar(100) NOT NULL,
    product_id bigint,
    at timestamptz NOT NULL,
    actor varchar(100) NOT NULL,
    request_id varchar(100) NOT NULL,
    before jsonb
    -- Emptied again and again: the next look shouldn't have to pass over what is gone.
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- One function and four triggers a table. In the list `@` stands for the row.
DO $do$
DECLARE
    logged record;
    body text;
BEGIN
    FOR logged IN SELECT * FROM (VALUES
        ('brand', 'brand', 'id', '@.version', $$''$$, 'NULL::bigint', '', 'version'),
        -- A path that follows an ancestor's moves no version.
        ('category', 'category', 'id', '@.version', $$''$$, 'NULL::bigint', '', 'version'),
        ('product', 'product', 'id', '@.version', '@.sku', '@.id', '', 'version'),
        ('producttext', 'text', 'product_id', 'NULL::integer', $$''$$, '@.product_id', '',
         'description, @.seo_title, @.seo_description'),
        ('variant', 'variant', 'id', '@.version', '@.sku', '@.product_id', '', 'version'),
        -- Of a variant that is gone already, and took its stock along, nobody knows the product any more.
        ('stock', 'stock', 'id', 'NULL::integer', $$coalesce(v.sku, '')$$, 'v.product_id',
         'LEFT JOIN catalog_variant v ON v.id = @.variant_id', 'variant_id, @.location, @.on_hand, @.reserved'),
        ('image', 'image', 'id', 'NULL::integer', $$''$$, '@.product_id', '',
         'product_id, @.url, @.alt, @.position')
    ) AS known (name, entity, key, version, sku, product, joined, compared)
    LOOP
        -- %1 entity, %2 key, %3 to %6 of the new row, %7 to %10 of the old one.
        body := format($body$
DECLARE
    now_is timestamptz := clock_timestamp();
    actor text := coalesce(nullif(current_setting('tenfold.actor', true), ''), 'role:' || session_user);
    request_id text := coalesce(current_setting('tenfold.request_id', true), '');
    keeps boolean := current_setting('tenfold.before', true) IS DISTINCT FROM 'off';
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO catalog_change_inbox
            (entity, op, entity_id, version, sku, product_id, at, actor, request_id)
        SELECT %1$L, 'create', n.%2$I, %3$s, %4$s, %5$s, now_is, actor, request_id FROM new_rows n %6$s;
    ELSIF TG_OP = 'UPDATE' THEN
        -- A full join, since the plan is kept for the session: a nested loop, right for the one row of the first
        -- statement, would compare each row with each of a later one's thousand.
        INSERT INTO catalog_change_inbox
            (entity, op, entity_id, version, sku, product_id, at, actor, request_id, before)
        SELECT %1$L, 'update', n.%2$I, %3$s, %4$s, %5$s, now_is, actor, request_id, CASE WHEN keeps THEN %11$s END
        FROM new_rows n FULL JOIN old_rows o ON o.%2$I = n.%2$I %6$s
        WHERE (%12$s) IS DISTINCT FROM (%13$s);
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO catalog_change_inbox
            (entity, op, entity_id, version, sku, product_id, at, actor, request_id, before)
        SELECT %1$L, 'delete', o.%2$I, %7$s, %8$s, %9$s, now_is, actor, request_id, CASE WHEN keeps THEN %11$s END
        FROM old_rows o %10$s;
    ELSE
        INSERT INTO catalog_change_inbox (entity, op, entity_id, sku, at, actor, request_id)
        VALUES (%1$L, 'truncate', 0, '', now_is, actor, request_id);
    END IF;
    RETURN NULL;
END $body$,
            logged.entity, logged.key,
            replace(logged.version, '@', 'n'), replace(logged.sku, '@', 'n'), replace(logged.product, '@', 'n'),
            replace(logged.joined, '@', 'n'),
            replace(logged.version, '@', 'o'), replace(logged.sku, '@', 'o'), replace(logged.product, '@', 'o'),
            replace(logged.joined, '@', 'o'),
            -- What a search reads follows from the texts.
            CASE logged.entity WHEN 'text' THEN $$to_jsonb(o) - '{search,names}'::text[]$$ ELSE 'to_jsonb(o)' END,
            replace('@.' || logged.compared, '@', 'n'), replace('@.' || logged.compared, '@', 'o'));
        EXECUTE format('CREATE FUNCTION catalog_log_%s() RETURNS trigger LANGUAGE plpgsql AS %L', logged.name, body);
        EXECUTE format($triggers$
CREATE TRIGGER log_insert AFTER INSERT ON %1$s REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION %2$s();
CREATE TRIGGER log_update AFTER UPDATE ON %1$s REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION %2$s();
CREATE TRIGGER log_delete AFTER DELETE ON %1$s REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION %2$s();
CREATE TRIGGER log_truncate AFTER TRUNCATE ON %1$s
    FOR EACH STATEMENT EXECUTE FUNCTION %2$s();
            $triggers$, 'catalog_' || logged.name, 'catalog_log_' || logged.name);
    END LOOP;
END $do$;

-- A row is known to the log, and to whoever follows it, by its key.
CREATE FUNCTION catalog_refuse_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the key of a row in % is for life', TG_TABLE_NAME USING ERRCODE = 'check_violation';
END $$;

DO $do$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['brand', 'category', 'product', 'variant', 'stock', 'image'] LOOP
        EXECUTE format('CREATE TRIGGER keep_key BEFORE UPDATE OF id ON %I FOR EACH ROW
            WHEN (NEW.id <> OLD.id) EXECUTE FUNCTION catalog_refuse_key()', 'catalog_' || name);
    END LOOP;
END $do$;
CREATE TRIGGER keep_key BEFORE UPDATE OF product_id ON catalog_producttext FOR EACH ROW
    WHEN (NEW.product_id <> OLD.product_id) EXECUTE FUNCTION catalog_refuse_key();

-- Positions for up to `most` committed changes; how many there were. One numberer at a time, and its positions are
-- committed before the next one looks: whatever commits later gets a higher position than any reader has seen.
CREATE FUNCTION catalog_number_changes(most integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE numbered bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM catalog_change_inbox) THEN
        RETURN 0;
    END IF;
    PERFORM pg_advisory_xact_lock('catalog_change'::regclass::bigint);
    -- Not a SET of the function's own: for a name that PostgreSQL doesn't know only a superuser may give it one.
    PERFORM set_config('tenfold.change_log', 'open', true);
    WITH taken AS (
        -- A range, not a list: the plan is kept, and made for one row its join would be a nested loop.
        DELETE FROM catalog_change_inbox WHERE id <= (
            SELECT max(id) FROM (SELECT id FROM catalog_change_inbox ORDER BY id LIMIT most) first) RETURNING *
    ), last AS (
        SELECT coalesce(max(position), 0) AS position FROM catalog_change
    )
    INSERT INTO catalog_change (position, entity, entity_id, op, version, sku, product_id, at, numbered_at, actor,
                                request_id, before)
    SELECT last.position + row_number() OVER (ORDER BY id), entity, entity_id, op, version, sku, product_id, at,
           -- Never earlier than that of the position before, also when the clock is set back.
           greatest(now_is, (SELECT numbered_at FROM catalog_change c WHERE c.position = last.position)), actor,
           request_id, before
    FROM taken, last, clock_timestamp() now_is;
    GET DIAGNOSTICS numbered = ROW_COUNT;
    PERFORM set_config('tenfold.change_log', '', true);
    RETURN numbered;
END $$;

-- Delete up to `most` of the oldest changes, numbered before `oldest`; how many. The newest always stays: positions
-- go on from it.
CREATE FUNCTION catalog_purge_changes(oldest timestamptz, most integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE purged bigint;
BEGIN
    PERFORM set_config('tenfold.change_log', 'open', true);
    DELETE FROM catalog_change WHERE position <= (
        SELECT max(position) FROM (
            SELECT position FROM catalog_change
            WHERE numbered_at < oldest AND position < (SELECT max(position) FROM catalog_change)
            ORDER BY numbered_at, position LIMIT most) old);
    GET DIAGNOSTICS purged = ROW_COUNT;
    PERFORM set_config('tenfold.change_log', '', true);
    RETURN purged;
END $$;

-- What was written stays as it was written.
CREATE FUNCTION catalog_keep_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP IN ('UPDATE', 'TRUNCATE') OR current_setting('tenfold.change_log', true) IS DISTINCT FROM 'open' THEN
        RAISE EXCEPTION 'the change log is kept: % of % is refused', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'Only catalog_number_changes() and catalog_purge_changes() write it.';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER keep_log BEFORE INSERT OR UPDATE OR DELETE ON catalog_change
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_keep_log();
CREATE TRIGGER keep_log BEFORE UPDATE OR DELETE ON catalog_change_inbox
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_keep_log();
CREATE TRIGGER keep_from_truncate BEFORE TRUNCATE ON catalog_change
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_keep_log();
CREATE TRIGGER keep_from_truncate BEFORE TRUNCATE ON catalog_change_inbox
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_keep_log();

-- With their owner's rights: a role that may write the catalogue needs none on the log's two tables.
DO $do$
DECLARE name text;
BEGIN
    FOR name IN SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
        AND (proname LIKE 'catalog\_log\_%' OR proname IN ('catalog_number_changes', 'catalog_purge_changes'))
    LOOP
        EXECUTE format('ALTER FUNCTION %s SECURITY DEFINER SET search_path = %I, pg_temp', name, current_schema());
    END LOOP;
END $do$;
