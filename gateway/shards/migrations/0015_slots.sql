-- What the operator plans moves by: what a shard has of slots, what came to it, and what each slot takes.

-- Moves that have ended here, written in the very transaction in which the slot became this shard's. Of no slot, in the sense that rows
-- stay here when the slot moves on.
create table chat.moves (
    move_id     uuid not null,
    slot        integer not null check (slot >= 0),
    -- Name of the shard that the slot came from.
    source      text not null,
    -- The slot's epoch since then.
    epoch       bigint not null check (epoch >= 1),
    rows        bigint not null check (rows >= 0),
    bytes       bigint not null check (bytes >= 0),
    -- How long writes waited; null where the mover that measured it has died.
    pause_ms    bigint check (pause_ms >= 0),
    finished_at timestamptz not null default clock_timestamp(),
    -- When the source had deleted what it had left of the slot.
    cleaned_at  timestamptz,
    primary key (move_id, slot)
);

-- The databases that this one has last been migrated together with, itself among them: another database under a shard's name is noticed, also where
-- it owns the very slots that the shard owned.
create table chat.peers (
    shard    text primary key,
    shard_id uuid not null
);

-- One row of what this shard has. Slots in transit are JSON in the form of the gateway's answer to /slots.
create function chat.slot_report(p_since timestamptz)
returns table (id uuid, owned integer[], epochs bigint[], arriving jsonb, leaving jsonb, moved jsonb, lag_bytes bigint)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    return query
    with transit as (
        select o.slot, o.state, jsonb_build_object('slot', o.slot, 'state', o.state, 'peer', o.peer, 'moveId', o.move_id,
            'rows', case when o.state = 'importing' then c.rows else 0 end,
            'bytes', case when o.state = 'importing' then c.bytes else 0 end,
            'backlog', case when o.state = 'importing' then 0 else l.keys end) as told
        from chat.slot_ownership o
        cross join lateral (
            select coalesce(sum(k.rows), 0)::bigint as rows, coalesce(sum(k.bytes), 0)::bigint as bytes
            from chat.move_chunks k where o.state = 'importing' and k.move_id = o.move_id) c
        cross join lateral (
            select count(*) as keys from chat.slot_changes n where o.state <> 'importing' and n.slot = o.slot) l
        where o.state in ('importing', 'migrating', 'fenced')
    ), ended as (
        select m.finished_at, jsonb_build_object('slot', m.slot, 'from', m.source, 'moveId', m.move_id, 'rows', m.rows, 'bytes', m.bytes,
            'pauseMs', m.pause_ms, 'atMs', chat._millis(m.finished_at), 'cleaned', m.cleaned_at is not null) as told
        from chat.moves m left join chat.slot_ownership o on o.slot = m.slot
        -- What a source has left of a slot that has gone on from here is not this shard's to vouch for.
        where (m.cleaned_at is null and chat._readable(o.state)) or m.finished_at >= p_since
    )
    select s.shard_id, coalesce(h.owned, '{}'), coalesce(h.epochs, '{}'),
        (select coalesce(jsonb_agg(t.told order by t.slot), '[]') from transit t where t.state = 'importing'),
        (select coalesce(jsonb_agg(t.told order by t.slot), '[]') from transit t where t.state <> 'importing'),
        (select coalesce(jsonb_agg(e.told order by e.finished_at, e.told ->> 'slot'), '[]') from ended e),
        -- Null without standbys, and for who may not see how far they are.
        (select greatest(max(pg_wal_lsn_diff(pg_current_wal_lsn(), r.flush_lsn)), 0)::bigint
         from pg_stat_replication r where r.state is distinct from 'backup' having count(r.flush_lsn) > 0)
    from chat.settings s
    cross join (
        select array_agg(w.slot order by w.slot) as owned, array_agg(w.epoch order by w.slot) as epochs
        from chat.slot_ownership w where chat._readable(w.state)
    ) h;
end $$;

-- What each slot that is here takes, in rows and bytes with indexes: each table's bytes are shared out by rows. Of a table of more than some
-- million rows about a million are counted, in whole pages. Slots without rows are there with zeros. Reads each table once: not for every second.
create function chat.slot_sizes() returns table (slot integer, rows bigint, bytes bigint)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    part record;
    percent double precision;
    counts text := 'select null::integer as slot, 0::double precision as rows, 0::double precision as bytes';
begin
    for part in
        select c.relname::text as name, pg_total_relation_size(c.oid) as size,
               -- A table that was never analysed: rows of some hundred bytes.
               case when c.reltuples < 0 then pg_relation_size(c.oid) / 128 else c.reltuples end as about
        from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'slot' and not a.attisdropped
        where c.relnamespace = 'chat'::regnamespace and c.relkind = 'r' and c.relname not in ('slot_ownership', 'slot_changes', 'moves')
    loop
        percent := least(100, 100 * 1000000 / greatest(part.about, 1)::double precision);
        counts := counts || format(
            ' union all select g.slot, g.n * 100 / %s::double precision, %s::double precision * g.n / sum(g.n) over ()'
            ' from (select slot, count(*) as n from chat.%I%s group by slot) g',
            percent, part.size, part.name,
            case when percent < 100 then format(' tablesample system (%s)', percent) else '' end);
    end loop;
    return query execute
        'select o.slot, coalesce(round(sum(c.rows)), 0)::bigint, coalesce(round(sum(c.bytes)), 0)::bigint'
        ' from chat.slot_ownership o left join (' || counts || ') c on c.slot = o.slot'
        ' where chat._readable(o.state) group by o.slot order by o.slot';
end $$;
