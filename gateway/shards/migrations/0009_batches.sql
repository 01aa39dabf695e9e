-- Texts of many rooms in one transaction. Gateways of the version before go on with send_message.

-- Those of these slots that may be written, each under its lock; never waits and never refuses. Locks and states are read by two
-- statements for the reason that _guard gives.
create function chat._writable(p_slots integer[]) returns integer[]
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    locked integer[];
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'writes need READ COMMITTED, not %', current_setting('transaction_isolation')
            using errcode = 'CC004';
    end if;
    select array_agg(s) into locked
    from (select distinct w as s from unnest(p_slots) as w) d where pg_try_advisory_xact_lock_shared(1128808788, s);
    return (
        select array_agg(o.slot) from chat.slot_ownership o
        where o.slot = any (locked)
          and (o.state in ('owned', 'migrating')
               or (o.state = 'fenced' and o.fence_until <= clock_timestamp() and o.timeline = chat._timeline()))
    );
end $$;

-- Stores texts as send_message does, in the order of the arrays, and answers the place in the arrays of each one that was stored.
-- Whatever send_message would not simply store (a repeat, a slot that is elsewhere or locked, somebody who is no member, a reply to
-- nothing) is left out of the answer and undone nowhere: the caller asks for it alone and gets the exact refusal. No message id may
-- come twice for one room.
--
-- Rooms are locked in the order of their keys, so that two calls never wait for each other in a circle; slots are not waited for at all.
-- The planner is kept to index scans: it plans once, when the tables may be empty, and a plan that reads a whole table would stay.
create function chat.send_messages(
    p_slots integer[], p_rooms uuid[], p_messages uuid[], p_senders uuid[], p_bodies text[], p_reply_tos bigint[],
    p_mentions text[], p_outboxes uuid[]
)
returns table (place bigint, seq bigint, sender_name text, at_ms bigint, mentions uuid[])
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
#variable_conflict use_column
declare
    mine integer[] := chat._writable(p_slots);
    logged integer[];
    stamp timestamptz;
    stamp_ms bigint;
begin
    if mine is null then
        return;
    end if;
    select array_agg(o.slot) into logged from chat.slot_ownership o where o.slot = any (mine) and o.state <> 'owned';
    perform from unnest(p_slots, p_rooms) as w (slot, room_id)
        join chat.rooms r on r.slot = w.slot and r.room_id = w.room_id
        where w.slot = any (mine)
        order by r.slot, r.room_id for no key update of r;
    -- After the wait for the locks: times follow the order.
    stamp := date_trunc('milliseconds', clock_timestamp());
    stamp_ms := chat._millis(stamp);
    return query
    with fit as materialized (
        select w.place, w.slot, w.room_id, w.message_id, w.sender, w.body, w.reply_to, w.outbox, m.display_name,
               r.last_seq + row_number() over (partition by w.slot, w.room_id order by w.place) as seq,
               case when w.mentions is null then '{}' else (
                   select coalesce(array_agg(a.user_id order by a.user_id), '{}') from chat.members a
                   where a.slot = w.slot and a.room_id = w.room_id and a.user_id = any (w.mentions::uuid[])
               ) end as mentions
        from unnest(p_slots, p_rooms, p_messages, p_senders, p_bodies, p_reply_tos, p_mentions, p_outboxes) with ordinality
            as w (slot, room_id, message_id, sender, body, reply_to, mentions, outbox, place)
        join chat.rooms r on r.slot = w.slot and r.room_id = w.room_id
        join chat.members m on m.slot = w.slot and m.room_id = w.room_id and m.user_id = w.sender
        where w.slot = any (mine)
          and not exists (
              select from chat.messages x
              where x.slot = w.slot and x.room_id = w.room_id and x.message_id = w.message_id)
          and (w.reply_to is null or exists (
              select from chat.messages x
              where x.slot = w.slot and x.room_id = w.room_id and x.seq = w.reply_to and x.kind = 'text'))
    ), written as (
        insert into chat.messages (slot, room_id, seq, message_id, sender, sender_name, body, at, reply_to, mentions)
        select f.slot, f.room_id, f.seq, f.message_id, f.sender, f.display_name, f.body, stamp, f.reply_to, f.mentions from fit f
    ), counted as (
        update chat.rooms r set last_seq = n.seq
        from (select f.slot, f.room_id, max(f.seq) as seq from fit f group by f.slot, f.room_id) n
        where r.slot = n.slot and r.room_id = n.room_id
    ), waiting as (
        insert into chat.outbox (slot, id, room_id, seq) select f.slot, f.outbox, f.room_id, f.seq from fit f
    ), noted as (
        insert into chat.slot_changes (slot, kind, key)
        select f.slot, k.kind, k.key
        from fit f
        cross join lateral (values
            ('room', jsonb_build_array(f.room_id)),
            ('message', jsonb_build_array(f.room_id, f.seq)),
            ('outbox', jsonb_build_array(f.outbox))) as k (kind, key)
        where f.slot = any (logged)
    )
    select f.place, f.seq, f.display_name, stamp_ms, f.mentions from fit f;
end $$;

-- As before, with the slots looked at together.
create or replace function chat.finish_outbox(p_slots integer[], p_ids uuid[]) returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    mine integer[];
    gone integer;
begin
    perform set_config('synchronous_commit', 'off', true);
    mine := chat._writable(p_slots);
    with removed as (
        delete from chat.outbox x using unnest(p_slots, p_ids) as w (slot, id)
        where x.slot = w.slot and x.id = w.id and x.slot = any (mine)
        returning x.slot, x.id
    ), noted as (
        insert into chat.slot_changes (slot, kind, key)
        select r.slot, 'outbox', jsonb_build_array(r.id) from removed r
        join chat.slot_ownership o on o.slot = r.slot and o.state <> 'owned'
    )
    select count(*) into gone from removed;
    return gone;
end $$;
