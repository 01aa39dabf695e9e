-- Who was removed from a room: every gateway knows with the next entry, and within a second when there is none. Each answer that entries
-- go on from says up to which removal its reader must know the members.

alter table chat.rooms
    -- The room's member_version at the newest removal; 0: none, or none since this is noted.
    add column removal_version bigint not null default 0;

-- Who was removed within the last minute, as chat.endings says whose sessions ended. These rows belong to no slot and move with none.
create table chat.removals (
    xid     bigint not null default (pg_current_xact_id()::text::bigint),
    room_id uuid not null,
    user_id uuid not null,
    -- The room's member_version of the removal: who is known to be a member at a later one has come back.
    version bigint not null,
    at      timestamptz not null default clock_timestamp(),
    primary key (xid, room_id, user_id)
);

-- Notes a removal while its function holds the room's row and has not raised member_version yet. Not what a mover clears away after a
-- slot has moved, or before it has come. Takes out more than it puts in, of the oldest, and waits for nobody who does so at the same time.
create function chat._note_removals() returns trigger
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
begin
    with served as (
        select g.slot, g.room_id, g.user_id
        from gone g join chat.slot_ownership o on o.slot = g.slot where chat._readable(o.state)
    ), raised as (
        update chat.rooms r set removal_version = r.member_version + 1
        from (select distinct s.slot, s.room_id from served s) d
        where r.slot = d.slot and r.room_id = d.room_id
        returning r.slot, r.room_id, r.removal_version
    )
    insert into chat.removals (room_id, user_id, version)
    select s.room_id, s.user_id, r.removal_version
    from served s join raised r on r.slot = s.slot and r.room_id = s.room_id
    on conflict do nothing;
    if found then
        delete from chat.removals e
        using (
            select xid, room_id, user_id, at from chat.removals order by xid, room_id, user_id limit 20 for update skip locked
        ) oldest
        where e.xid = oldest.xid and e.room_id = oldest.room_id and e.user_id = oldest.user_id
            and oldest.at < clock_timestamp() - interval '1 minute';
    end if;
    return null;
end $$;

create trigger note_removals after delete on chat.members
referencing old table as gone for each statement execute function chat._note_removals();

-- What ended_since answers, and who was removed: rooms[i], removed[i] and versions[i] belong together. One read under one snapshot; at
-- most p_limit of either kind.
create function chat.endings_since(p_since bigint, p_limit integer)
returns table (next bigint, users uuid[], rooms uuid[], removed uuid[], versions bigint[])
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
           array(select e.user_id from chat.endings e where e.xid >= p_since order by e.xid limit p_limit),
           coalesce(array_agg(r.room_id order by r.n), '{}'), coalesce(array_agg(r.user_id order by r.n), '{}'),
           coalesce(array_agg(r.version order by r.n), '{}')
    from (
        select x.room_id, x.user_id, x.version, row_number() over (order by x.xid, x.room_id, x.user_id) as n
        from chat.removals x where x.xid >= p_since order by x.xid, x.room_id, x.user_id limit p_limit
    ) r
$$;

-- The newest removal of a room whose row this transaction has locked. Volatile, so that it sees what was committed before the lock was
-- granted and not what was there when the calling statement began.
create function chat._removal_version(p_slot integer, p_room uuid) returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
begin
    return (select r.removal_version from chat.rooms r where r.slot = p_slot and r.room_id = p_room);
end $$;

-- send_message, send_messages and change_entry with the newest removal before the entry: whoever is told of the entry must have been a
-- member at that one. Gateways of the version before go on with those.
create function chat.store_text(
    p_slot integer, p_room uuid, p_message uuid, p_sender uuid, p_body text, p_reply_to bigint, p_mentions uuid[], p_outbox uuid
)
returns table (seq bigint, sender_name text, at_ms bigint, duplicate boolean, mentions uuid[], removal_version bigint)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    return query
    select s.seq, s.sender_name, s.at_ms, s.duplicate, s.mentions, chat._removal_version(p_slot, p_room)
    from chat.send_message(p_slot, p_room, p_message, p_sender, p_body, p_reply_to, p_mentions, p_outbox) s;
end $$;

create function chat.store_texts(
    p_slots integer[], p_rooms uuid[], p_messages uuid[], p_senders uuid[], p_bodies text[], p_reply_tos bigint[],
    p_mentions text[], p_outboxes uuid[]
)
returns table (place bigint, seq bigint, sender_name text, at_ms bigint, mentions uuid[], removal_version bigint)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    return query
    select s.place, s.seq, s.sender_name, s.at_ms, s.mentions, chat._removal_version(p_slots[s.place], p_rooms[s.place])
    from chat.send_messages(p_slots, p_rooms, p_messages, p_senders, p_bodies, p_reply_tos, p_mentions, p_outboxes) s;
end $$;

create function chat.store_change(
    p_slot integer, p_room uuid, p_message uuid, p_sender uuid, p_kind text, p_target bigint, p_body text, p_outbox uuid,
    p_max_reactions integer
)
returns table (seq bigint, sender_name text, at_ms bigint, duplicate boolean, removal_version bigint)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    return query
    select s.seq, s.sender_name, s.at_ms, s.duplicate, chat._removal_version(p_slot, p_room)
    from chat.change_entry(p_slot, p_room, p_message, p_sender, p_kind, p_target, p_body, p_outbox, p_max_reactions) s;
end $$;

-- claim_entries with the newest removal by now, which is the one before the entry or a later one.
create function chat.claim_events(p_min_age interval, p_hold interval, p_limit integer)
returns table (
    slot integer, id uuid, created_ms bigint, event jsonb, room_id uuid, seq bigint, message_id uuid, sender uuid,
    sender_name text, body text, at_ms bigint, kind text, target bigint, reply_to bigint, mentions uuid[], edited_ms bigint,
    deleted boolean, removal_version bigint
)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    return query
    select c.slot, c.id, c.created_ms, c.event, c.room_id, c.seq, c.message_id, c.sender, c.sender_name, c.body, c.at_ms,
           c.kind, c.target, c.reply_to, c.mentions, c.edited_ms, c.deleted, chat._removal_version(c.slot, c.room_id)
    from chat.claim_entries(p_min_age, p_hold, p_limit) c
    order by c.created_ms, c.id;
end $$;

-- Entries after p_after for a gateway that fills a gap, without a check of anybody, and the newest removal under the same snapshot: who is
-- known to be a member at that one may have them all.
create function chat.replay(p_slot integer, p_room uuid, p_after bigint, p_limit integer)
returns table (
    removal_version bigint, seq bigint, message_id uuid, sender uuid, sender_name text, body text, at_ms bigint, kind text,
    target bigint, reply_to bigint, mentions uuid[], edited_ms bigint, deleted boolean
)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    return query
    select r.removal_version, m.seq, m.message_id, m.sender, m.sender_name, m.body, chat._millis(m.at), m.kind, m.target,
           m.reply_to, m.mentions, chat._millis(m.edited_at), m.deleted
    from chat.slot_ownership o
    left join chat.rooms r on r.slot = o.slot and r.room_id = p_room
    left join lateral (
        select * from chat.messages x
        where x.slot = r.slot and x.room_id = r.room_id and x.seq > p_after order by x.seq limit p_limit
    ) m on true
    where o.slot = p_slot and chat._readable(o.state);
    if not found then
        perform chat._refuse_read(p_slot);
    end if;
end $$;

-- positions with the newest removals.
create function chat.places(p_slots integer[], p_rooms uuid[])
returns table (room_id uuid, readable boolean, last_seq bigint, removal_version bigint)
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
    select w.room_id, o.slot is not null, r.last_seq, r.removal_version
    from unnest(p_slots, p_rooms) as w (slot, room_id)
    left join chat.slot_ownership o on o.slot = w.slot and chat._readable(o.state)
    left join chat.rooms r on r.slot = o.slot and r.room_id = w.room_id
$$;

-- room and rooms_of with the version at which the user is a member.
create function chat.room_view(p_slot integer, p_room uuid, p_user uuid)
returns table (
    kind text, title text, last_seq bigint, delivered_seq bigint, read_seq bigint, created_ms bigint, member_version bigint
)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    return query
    select r.kind, r.title, r.last_seq, m.delivered_seq, m.read_seq, chat._millis(r.created_at), r.member_version
    from chat.slot_ownership o
    left join chat.members m on m.slot = o.slot and m.room_id = p_room and m.user_id = p_user
    left join chat.rooms r on r.slot = m.slot and r.room_id = m.room_id
    where o.slot = p_slot and chat._readable(o.state);
    if not found then
        perform chat._refuse_read(p_slot);
    end if;
end $$;

create function chat.room_views(p_user uuid, p_slots integer[], p_rooms uuid[])
returns table (
    room_id uuid, readable boolean, kind text, title text, last_seq bigint, delivered_seq bigint, read_seq bigint,
    created_ms bigint, member_version bigint
)
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
    select w.room_id, o.slot is not null, r.kind, r.title, r.last_seq, m.delivered_seq, m.read_seq,
           chat._millis(r.created_at), r.member_version
    from unnest(p_slots, p_rooms) as w (slot, room_id)
    left join chat.slot_ownership o on o.slot = w.slot and chat._readable(o.state)
    left join chat.members m on m.slot = o.slot and m.room_id = w.room_id and m.user_id = p_user
    left join chat.rooms r on r.slot = m.slot and r.room_id = m.room_id
$$;

-- Those of p_users who are members, and the version at which they are; nulls for a room that does not exist.
create function chat.still_members(p_slot integer, p_room uuid, p_users uuid[])
returns table (member_version bigint, users uuid[])
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    return query
    select r.member_version,
           array(select m.user_id from chat.members m
                 where m.slot = r.slot and m.room_id = r.room_id and m.user_id = any (p_users))
    from chat.slot_ownership o
    left join chat.rooms r on r.slot = o.slot and r.room_id = p_room
    where o.slot = p_slot and chat._readable(o.state);
    if not found then
        perform chat._refuse_read(p_slot);
    end if;
end $$;
