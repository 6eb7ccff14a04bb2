-- A plan of a trigger is kept for the session, and so is the decision that it is worth compiling: after a statement of
-- 9,000 prices, one price took 670 to 1,480 ms on the same connection, nearly all of it compiling, without it a few.
-- Triggers that are written from now on have it from AS_OWNER and DEFINER; tests/catalog/test_trigger_plans.py looks.
-- The ones that store rows don't need it: they take keys as an array, of which a generic plan expects ten.
DO $do$
DECLARE fired regprocedure;
BEGIN
    FOR fired IN SELECT DISTINCT t.tgfoid::regprocedure FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
        WHERE NOT t.tgisinternal AND t.tgtype & 1 = 0 AND p.pronamespace = current_schema()::regnamespace
            AND p.proname NOT LIKE 'stored\_%' AND pg_has_role(p.proowner, 'USAGE') LOOP
        EXECUTE format('ALTER FUNCTION %s SET jit = off', fired);
    END LOOP;
END $do$;
