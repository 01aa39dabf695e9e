-- A slot that was handed over, and whose mover died before it opened it, is opened by the first gateway that has waited for it: S8 is anyone's
-- who has the source's word (crate chat-shard-protocol, activate).

-- How many standbys must have flushed the hand-over before anyone acts on it (rule R1); written with the hand-over.
alter table chat.slot_ownership add column standbys integer not null default 0 check (standbys >= 0);

-- As before, and a slot that is yet to arrive says so: whoever is sent back and forth between the two shards knows that it was handed over.
create or replace function chat._refuse(p_slot integer, p_state text, p_peer text, p_epoch bigint) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
begin
    case
        when p_state = 'moved' then
            raise exception 'slot % has moved to shard %', p_slot, p_peer
                using errcode = 'CC001', detail = json_build_object('peer', p_peer, 'epoch', p_epoch)::text;
        when p_state = 'importing' and p_peer is not null then
            raise exception 'slot % is arriving from shard %', p_slot, p_peer
                using errcode = 'CC001',
                      detail = json_build_object('peer', p_peer, 'epoch', p_epoch - 1, 'arriving', true)::text;
        when p_state in ('fenced', 'importing') then
            raise exception 'slot % is %, retry', p_slot, p_state
                using errcode = 'CC002', detail = json_build_object('retry_ms', 20)::text;
        else
            raise exception 'slot % is not owned here', p_slot using errcode = 'CC003';
    end case;
end $$;

-- The source's word that it has given a slot away, and whether its standbys have flushed that: those that are connected, and as many as there
-- must be. They are asked for one position, of the first call or the caller's: what is written meanwhile is no reason to wait.
create function chat.handed_over(p_slot integer, p_position text)
returns table (epoch bigint, gen bigint, move_id uuid, timeline text, since bigint, "position" text, flushed boolean)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    o chat.slot_ownership;
    here pg_lsn;
begin
    select * into o from chat.slot_ownership w where w.slot = p_slot and w.state = 'moved';
    if not found then
        return;
    end if;
    here := coalesce(p_position::pg_lsn, pg_current_wal_insert_lsn());
    return query
    select o.epoch, o.gen, o.move_id, o.timeline, o.since, here::text,
           count(r.pid) >= o.standbys and count(r.pid) = count(r.pid) filter (where r.flush_lsn >= here)
    from (select) one left join pg_stat_replication r on r.state <> 'backup';
end $$;

-- Notes that a slot has come here, with what its chunks say, in the transaction that makes it so; its chunks are forgotten.
create function chat._arrived(p_slot integer, p_move_id uuid, p_source text) returns void
language sql volatile set search_path = pg_catalog, pg_temp
as $$
    insert into chat.moves (move_id, slot, source, epoch, rows, bytes)
    select p_move_id, p_slot, p_source, (select w.epoch from chat.slot_ownership w where w.slot = p_slot),
           coalesce(sum(c.rows), 0), coalesce(sum(c.bytes), 0)
    from chat.move_chunks c where c.move_id = p_move_id
    on conflict (move_id, slot) do update set source = excluded.source, epoch = excluded.epoch, rows = excluded.rows,
        bytes = excluded.bytes, pause_ms = null, finished_at = excluded.finished_at, cleaned_at = null;
    delete from chat.move_chunks c where c.move_id = p_move_id;
$$;

-- S8 on the source's word. False: the slot is not what the word is about, or it arrived before a standby of this shard was promoted, and its
-- rows have to be looked at first; that is for a mover.
create function chat.open_slot(
    p_slot integer, p_epoch bigint, p_gen bigint, p_move_id uuid, p_timeline text, p_since bigint
) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    source text;
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'writes need READ COMMITTED, not %', current_setting('transaction_isolation')
            using errcode = 'CC004';
    end if;
    perform set_config('lock_timeout', '100ms', true);
    perform pg_advisory_xact_lock(1128808788, p_slot);
    select w.peer into source from chat.slot_ownership w where w.slot = p_slot for no key update;
    update chat.slot_ownership w
    set state = 'owned', peer = null, move_id = null, fence_until = null, timeline = null, since = null, own_timeline = null
    where w.slot = p_slot and w.state = 'importing' and w.epoch = p_epoch and w.gen = p_gen and w.move_id = p_move_id
      and w.timeline = p_timeline and w.since = p_since and w.own_timeline = chat._timeline();
    if not found then
        return false;
    end if;
    perform chat._arrived(p_slot, p_move_id, source);
    return true;
end $$;
