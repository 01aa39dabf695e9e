-- Messages and the outbox.

-- Stores a message: one call is one transaction and one round trip. The update of the room's row is the lock under which
-- everything else happens, so seq is gap-free and in commit order. A repeat gets the first answer; `duplicate` is false
-- for a repeat of the very same call (known by its outbox id) as long as its outbox row is there.
create function chat.send_message(
    p_slot integer, p_room uuid, p_message uuid, p_sender uuid, p_body text, p_outbox uuid
)
returns table (seq bigint, sender_name text, at_ms bigint, duplicate boolean)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    log boolean := chat._guard(p_slot);
    next bigint;
    display text;
    first chat.messages;
    stamp timestamptz;
begin
    update chat.rooms set last_seq = last_seq + 1 where slot = p_slot and room_id = p_room returning last_seq into next;
    if not found then
        raise exception 'no such room' using errcode = 'CC101';
    end if;
    select m.display_name into display
    from chat.members m where m.slot = p_slot and m.room_id = p_room and m.user_id = p_sender;
    if not found then
        raise exception 'not a member' using errcode = 'CC102';
    end if;
    stamp := date_trunc('milliseconds', clock_timestamp());
    insert into chat.messages (slot, room_id, seq, message_id, sender, sender_name, body, at)
    values (p_slot, p_room, next, p_message, p_sender, display, p_body, stamp)
    on conflict (slot, room_id, message_id) do nothing;
    if not found then
        select * into first from chat.messages where slot = p_slot and room_id = p_room and message_id = p_message;
        if first.sender <> p_sender or first.body <> p_body then
            raise exception 'the message id was used for another message' using errcode = 'CC107';
        end if;
        -- Give the number back: nobody has seen it, the row is locked.
        update chat.rooms set last_seq = next - 1 where slot = p_slot and room_id = p_room;
        return query select first.seq, first.sender_name, chat._millis(first.at),
            not exists (select from chat.outbox where slot = p_slot and id = p_outbox);
        return;
    end if;
    insert into chat.outbox (slot, id, room_id, seq) values (p_slot, p_outbox, p_room, next);
    if log then
        perform chat._log(p_slot, 'room', jsonb_build_array(p_room));
        perform chat._log(p_slot, 'message', jsonb_build_array(p_room, next));
        perform chat._log(p_slot, 'outbox', jsonb_build_array(p_outbox));
    end if;
    return query select next, display, chat._millis(stamp), false;
end $$;

-- Messages of a room, for p_user if given: after p_after upwards, else before p_before (null: from the newest) downwards.
-- `member` is false when p_user is not in the room; a row whose seq is null carries no message.
create function chat.history(
    p_slot integer, p_room uuid, p_user uuid, p_before bigint, p_after bigint, p_limit integer
)
returns table (
    member boolean, seq bigint, message_id uuid, sender uuid, sender_name text, body text, at_ms bigint
)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    if p_after is not null then
        return query
        select a.ok, x.seq, x.message_id, x.sender, x.sender_name, x.body, chat._millis(x.at)
        from chat.slot_ownership o
        cross join lateral (select p_user is null or exists (
            select from chat.members m where m.slot = o.slot and m.room_id = p_room and m.user_id = p_user) as ok) a
        left join lateral (
            select * from chat.messages m
            where a.ok and m.slot = p_slot and m.room_id = p_room and m.seq > p_after
            order by m.seq limit p_limit) x on true
        where o.slot = p_slot and chat._readable(o.state)
        order by x.seq;
    else
        return query
        select a.ok, x.seq, x.message_id, x.sender, x.sender_name, x.body, chat._millis(x.at)
        from chat.slot_ownership o
        cross join lateral (select p_user is null or exists (
            select from chat.members m where m.slot = o.slot and m.room_id = p_room and m.user_id = p_user) as ok) a
        left join lateral (
            select * from chat.messages m
            where a.ok and m.slot = p_slot and m.room_id = p_room and m.seq < coalesce(p_before, 9223372036854775807)
            order by m.seq desc limit p_limit) x on true
        where o.slot = p_slot and chat._readable(o.state)
        order by x.seq desc;
    end if;
    if not found then
        perform chat._refuse_read(p_slot);
    end if;
end $$;

-- Claims outbox rows for p_hold, oldest first. Slots that are locked, fenced or elsewhere are left for another time; the
-- locks are taken before the rows, as every other writer does, so that nobody waits in a circle.
create function chat.claim_outbox(p_min_age interval, p_hold interval, p_limit integer)
returns table (
    slot integer, id uuid, created_ms bigint, event jsonb, room_id uuid, seq bigint, message_id uuid, sender uuid,
    sender_name text, body text, at_ms bigint
)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    oldest timestamptz := clock_timestamp() - p_min_age;
    present timestamptz := clock_timestamp();
    candidates integer[];
    mine integer[];
    logged integer[];
begin
    select array_agg(distinct c.slot order by c.slot) into candidates from (
        select x.slot from chat.outbox x
        where x.created_at <= oldest and (x.claimed_until is null or x.claimed_until < present)
        order by x.created_at limit p_limit) c;
    if candidates is null then
        return;
    end if;
    -- A statement of its own: the next one must see what was committed before the locks were granted.
    select array_agg(c) into mine from unnest(candidates) as c where chat._may_write(c);
    select array_agg(c) into logged from unnest(mine) as c where chat._logged(c);
    return query
    with taken as (
        update chat.outbox x set claimed_until = clock_timestamp() + p_hold
        from (
            select y.slot, y.id from chat.outbox y
            where y.slot = any (mine) and y.created_at <= oldest
              and (y.claimed_until is null or y.claimed_until < present)
            order by y.created_at limit p_limit for update skip locked) as want
        where x.slot = want.slot and x.id = want.id
        returning x.*
    ), noted as (
        insert into chat.slot_changes (slot, kind, key)
        select t.slot, 'outbox', jsonb_build_array(t.id) from taken t where t.slot = any (logged)
    )
    select t.slot, t.id, chat._millis(t.created_at), t.event, t.room_id, m.seq, m.message_id, m.sender, m.sender_name,
           m.body, chat._millis(m.at)
    from taken t left join chat.messages m on m.slot = t.slot and m.room_id = t.room_id and m.seq = t.seq
    order by t.created_at, t.id;
end $$;

-- Forgets outbox rows that were relayed. Rows of slots that are not writable here stay and are relayed once more by whoever
-- finds them, which the receivers recognise. The commit need not reach the disk: losing it does the same.
create function chat.finish_outbox(p_slots integer[], p_ids uuid[]) returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    mine integer[];
    gone integer;
begin
    perform set_config('synchronous_commit', 'off', true);
    select array_agg(s) into mine
    from (select distinct w.slot as s from unnest(p_slots) as w (slot) order by w.slot) d where chat._may_write(s);
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
