//! What a shard's schema looks like from outside.

use crate::support::postgres::Postgres;

/// What gateways may call, a line each: name, types of the arguments, type of the answer.
const CALLABLE: &str = "select p.oid::regprocedure || ' returns ' || pg_get_function_result(p.oid) \
    from pg_proc p where p.pronamespace = 'chat'::regnamespace and has_function_privilege('chat_gateway', p.oid, 'execute') order by 1";

/// Everything in the schema, a line each: functions with their bodies and rights, tables with columns, constraints, indexes and triggers, and which
/// migrations were carried out when.
const EVERYTHING: &str = "\
    select 'function ' || p.oid::regprocedure || ' ' || md5(pg_get_functiondef(p.oid)) || ' ' || coalesce(p.proacl::text, '') \
    from pg_proc p where p.pronamespace = 'chat'::regnamespace \
    union all select 'column ' || a.attrelid::regclass || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) \
        || ' ' || a.attnotnull || ' ' || coalesce(pg_get_expr(d.adbin, d.adrelid), '') || ' ' || coalesce(c.relacl::text, '') \
    from pg_attribute a join pg_class c on c.oid = a.attrelid left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum \
    where c.relnamespace = 'chat'::regnamespace and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped \
    union all select 'constraint ' || conrelid::regclass || '.' || conname || ' ' || pg_get_constraintdef(oid) \
    from pg_constraint where connamespace = 'chat'::regnamespace and conrelid <> 0 \
    union all select 'index ' || indexdef from pg_indexes where schemaname = 'chat' \
    union all select 'trigger ' || pg_get_triggerdef(t.oid) from pg_trigger t join pg_class c on c.oid = t.tgrelid \
    where c.relnamespace = 'chat'::regnamespace and not t.tgisinternal \
    union all select 'migration ' || version || ' ' || installed_on || ' ' || success from chat.migrations \
    order by 1";

fn lines(postgres: &Postgres, database: &str, sql: &str) -> Vec<String> {
    postgres.query(database, sql).lines().map(str::to_owned).collect()
}

/// What gateways may call in a shard.
pub(crate) fn callable(postgres: &Postgres, database: &str) -> Vec<String> {
    lines(postgres, database, CALLABLE)
}

/// Everything in a shard's schema.
pub(crate) fn everything(postgres: &Postgres, database: &str) -> Vec<String> {
    lines(postgres, database, EVERYTHING)
}

/// The version of a shard's schema.
pub(crate) fn version(postgres: &Postgres, database: &str) -> i32 {
    postgres.query(database, "select max(version) from chat.migrations").trim().parse().unwrap()
}
