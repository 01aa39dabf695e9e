-- store_texts without a call for each text: the newest removal is read with the room, by the statement that begins when its lock is held.
-- That call and the passing on of rows were a sixth of what a text cost the server (128 in one batch, PostgreSQL 15: 70 us, then 58).
-- send_messages stays for gateways of two versions before.
create or replace function chat.store_texts(
    p_slots integer[], p_rooms uuid[], p_messages uuid[], p_senders uuid[], p_bodies text[], p_reply_tos bigint[],
    p_mentions text[], p_outboxes uuid[]
)
returns table (place bigint, seq bigint, sender_name text, at_ms bigint, mentions uuid[], removal_version bigint)
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
        select w.place, w.slot, w.room_id, w.message_id, w.sender, w.body, w.reply_to, w.outbox, m.display_name, r.removal_version,
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
    select f.place, f.seq, f.display_name, stamp_ms, f.mentions, f.removal_version from fit f;
end $$;
