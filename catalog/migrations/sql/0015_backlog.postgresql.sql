-- What a cache asks at each lease: how far the log has come, and which entities changed behind `after`. What is
-- committed and waits for its position gets one first, up to `most`. Where more than that wait, no `newest`, and none
-- of them is numbered: a look stands in a request, and a backlog is for its writer, a worker or a thread.
CREATE OR REPLACE FUNCTION catalog_follow_changes(after bigint, most integer,
                                                  OUT newest bigint, OUT changed text[]) LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM (SELECT FROM catalog_change_inbox ORDER BY id LIMIT most + 1) waiting) > most THEN
        RETURN;
    END IF;
    BEGIN
        IF catalog_number_changes(most) = most THEN
            RETURN;
        END IF;
    EXCEPTION WHEN lock_not_available THEN
        RETURN;
    END;
    SELECT coalesce(max(position), 0) INTO newest FROM catalog_change;
    IF newest - after BETWEEN 1 AND most THEN
        changed := ARRAY(SELECT DISTINCT entity FROM catalog_change WHERE position > after);
    END IF;
END $$;

DO $do$
BEGIN
    EXECUTE format('ALTER FUNCTION catalog_follow_changes(bigint, integer) SECURITY DEFINER SET lock_timeout = 100
                    SET search_path = %I, pg_temp', current_schema());
END $do$;
