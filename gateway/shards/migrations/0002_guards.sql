-- The guard that every writing function calls first, and the refusals. Names that begin with an underscore are internal:
-- gateways get no EXECUTE on them.

-- The timeline of the write-ahead log: it changes when a standby is promoted.
create function chat._timeline() returns text
language sql volatile set search_path = pg_catalog, pg_temp
as $$ select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) $$;

-- Refuses with the state that the slot is in. The detail is JSON, so that a gateway needs nobody else to find the owner.
create function chat._refuse(p_slot integer, p_state text, p_peer text, p_epoch bigint) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
begin
    case
        when p_state = 'moved' then
            raise exception 'slot % has moved to shard %', p_slot, p_peer
                using errcode = 'CC001', detail = json_build_object('peer', p_peer, 'epoch', p_epoch)::text;
        when p_state in ('fenced', 'importing') then
            raise exception 'slot % is %, retry', p_slot, p_state
                using errcode = 'CC002', detail = json_build_object('retry_ms', 20)::text;
        else
            raise exception 'slot % is not owned here', p_slot using errcode = 'CC003';
    end case;
end $$;

-- Lets a write to a slot pass, or refuses it. True when the keys written must be logged for a mover.
-- The lock is its own statement, and the state is read by a later one: a statement that does both reads the state as it
-- was before the wait. Under any isolation but READ COMMITTED that would be so for every statement, hence the refusal.
create function chat._guard(p_slot integer) returns boolean
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    o chat.slot_ownership;
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'writes need READ COMMITTED, not %', current_setting('transaction_isolation')
            using errcode = 'CC004';
    end if;
    perform pg_advisory_xact_lock_shared(1128808788, p_slot);
    select * into o from chat.slot_ownership where slot = p_slot;
    if o.state = 'owned' then
        return false;
    elsif o.state = 'migrating' then
        return true;
    elsif o.state = 'fenced' and o.fence_until <= clock_timestamp() and o.timeline = chat._timeline() then
        -- The mover died or was late: the fence has ended by itself.
        return true;
    end if;
    perform chat._refuse(p_slot, o.state, o.peer, o.epoch);
    return false;
end $$;

-- As _guard, but answers false instead of refusing or waiting: for sweeps over many slots.
create function chat._may_write(p_slot integer) returns boolean
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    o chat.slot_ownership;
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'writes need READ COMMITTED, not %', current_setting('transaction_isolation')
            using errcode = 'CC004';
    end if;
    if not pg_try_advisory_xact_lock_shared(1128808788, p_slot) then
        return false;
    end if;
    select * into o from chat.slot_ownership where slot = p_slot;
    return coalesce(o.state in ('owned', 'migrating')
        or (o.state = 'fenced' and o.fence_until <= clock_timestamp() and o.timeline = chat._timeline()), false);
end $$;

-- Whether the keys of a slot are being logged; only after a guard has passed in the same transaction.
create function chat._logged(p_slot integer) returns boolean
language sql volatile set search_path = pg_catalog, pg_temp
as $$ select state <> 'owned' from chat.slot_ownership where slot = p_slot $$;

create function chat._log(p_slot integer, p_kind text, p_key jsonb) returns void
language sql volatile set search_path = pg_catalog, pg_temp
as $$ insert into chat.slot_changes (slot, kind, key) values (p_slot, p_kind, p_key) $$;

-- Explains why a read found no row of its slot. Reads go on at the source until the slot has moved.
create function chat._refuse_read(p_slot integer) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    o chat.slot_ownership;
begin
    select * into o from chat.slot_ownership where slot = p_slot;
    if o.state in ('owned', 'migrating', 'fenced') then
        -- It became ours between the two statements.
        perform chat._refuse(p_slot, 'importing', o.peer, o.epoch);
    end if;
    perform chat._refuse(p_slot, o.state, o.peer, o.epoch);
end $$;

create function chat._readable(p_state text) returns boolean
language sql immutable
as $$ select p_state in ('owned', 'migrating', 'fenced') $$;

-- The JSON of a membership event, as gateways store and relay it.
create function chat._joined(p_room uuid, p_user uuid, p_name text, p_version bigint) returns jsonb
language sql immutable
as $$ select jsonb_build_object('kind', 'joined', 'room', p_room, 'user', p_user, 'name', p_name, 'version', p_version) $$;

create function chat._left(p_room uuid, p_user uuid, p_version bigint) returns jsonb
language sql immutable
as $$ select jsonb_build_object('kind', 'left', 'room', p_room, 'user', p_user, 'version', p_version) $$;

create function chat._millis(p_at timestamptz) returns bigint
language sql immutable
as $$ select (extract(epoch from p_at) * 1000)::bigint $$;

-- What this database is and which slots it owns; one call tells a gateway all it needs to route.
create function chat.overview()
returns table (schema_version integer, cluster text, shard text, slots integer, owned integer[], epochs bigint[])
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    return query
    select (select max(m.version)::integer from chat.migrations m where m.success), s.cluster, s.shard, s.slots,
           coalesce(o.owned, '{}'), coalesce(o.epochs, '{}')
    from chat.settings s
    cross join (
        select array_agg(w.slot order by w.slot) as owned, array_agg(w.epoch order by w.slot) as epochs
        from chat.slot_ownership w where chat._readable(w.state)
    ) o;
end $$;
