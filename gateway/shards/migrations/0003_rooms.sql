-- Rooms and their members.

create function chat._log_membership(p_slot integer, p_room uuid, p_user uuid, p_outbox uuid) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
begin
    perform chat._log(p_slot, 'room', jsonb_build_array(p_room));
    perform chat._log(p_slot, 'member', jsonb_build_array(p_room, p_user));
    perform chat._log(p_slot, 'outbox', jsonb_build_array(p_outbox));
end $$;

-- Makes a room with its first members, the creator first in the arrays, or finds it. `created` is true as well for a
-- repeat of the very call that made it (known by the outbox ids), as long as its outbox rows are there.
create function chat.create_room(
    p_slot integer, p_room uuid, p_kind text, p_title text,
    p_users uuid[], p_names text[], p_displays text[], p_outbox uuid[], p_max_members integer
)
returns table (
    kind text, title text, last_seq bigint, delivered_seq bigint, read_seq bigint, created_ms bigint, created boolean
)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    log boolean := chat._guard(p_slot);
    made boolean;
begin
    if array_length(p_users, 1) > p_max_members then
        raise exception 'over % members', p_max_members using errcode = 'CC105';
    end if;
    if p_kind = 'direct' and array_length(p_users, 1) <> 2 then
        raise exception 'a direct room has two members' using errcode = 'CC103', detail = '{"why":"direct"}';
    end if;
    insert into chat.rooms (slot, room_id, kind, title, member_version, member_count)
    values (p_slot, p_room, p_kind, p_title, array_length(p_users, 1), array_length(p_users, 1))
    on conflict do nothing;
    made := found;
    if made then
        insert into chat.members (slot, room_id, user_id, name, display_name, role, version)
        select p_slot, p_room, u.id, u.name, u.display, case when u.n = 1 then 'owner' else 'member' end, u.n
        from unnest(p_users, p_names, p_displays) with ordinality as u (id, name, display, n);
        insert into chat.outbox (slot, id, room_id, event)
        select p_slot, u.outbox, p_room, chat._joined(p_room, u.id, u.name, u.n)
        from unnest(p_users, p_names, p_outbox) with ordinality as u (id, name, outbox, n);
        if log then
            perform chat._log_membership(p_slot, p_room, u.id, u.outbox) from unnest(p_users, p_outbox) as u (id, outbox);
        end if;
    else
        made := exists (select from chat.outbox where slot = p_slot and id = p_outbox[1]);
    end if;
    return query
    select r.kind, r.title, r.last_seq, m.delivered_seq, m.read_seq, chat._millis(r.created_at), made
    from chat.rooms r join chat.members m on m.slot = r.slot and m.room_id = r.room_id and m.user_id = p_users[1]
    where r.slot = p_slot and r.room_id = p_room;
    if not found then
        raise exception 'not a member' using errcode = 'CC102';
    end if;
end $$;

-- Locks the room's row and refuses unless the actor is a member of a group. The lock makes membership changes and sends
-- of one room serial, so a message is never accepted from someone whose removal was answered before.
create function chat._lock_group(p_slot integer, p_room uuid, p_actor uuid, out room chat.rooms, out actor_role text)
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
begin
    select * into room from chat.rooms where slot = p_slot and room_id = p_room for no key update;
    if not found then
        raise exception 'no such room' using errcode = 'CC101';
    end if;
    select m.role into actor_role from chat.members m where m.slot = p_slot and m.room_id = p_room and m.user_id = p_actor;
    if not found then
        raise exception 'not a member' using errcode = 'CC102';
    end if;
    if room.kind = 'direct' then
        raise exception 'the members of a direct room never change' using errcode = 'CC103', detail = '{"why":"direct"}';
    end if;
end $$;

-- The version in the outbox row that an earlier try of the same call wrote; null if there was none.
create function chat._earlier_try(p_slot integer, p_outbox uuid) returns bigint
language sql stable set search_path = pg_catalog, pg_temp
as $$ select (event ->> 'version')::bigint from chat.outbox where slot = p_slot and id = p_outbox $$;

-- Adds a member; returns the room's new member version, or null when they were a member already.
-- Their marks begin at the newest message: what was said before they came is there to read, but not unread.
create function chat.add_member(
    p_slot integer, p_room uuid, p_actor uuid, p_user uuid, p_name text, p_display text, p_outbox uuid, p_max_members integer
) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    log boolean := chat._guard(p_slot);
    room chat.rooms;
    earlier bigint := chat._earlier_try(p_slot, p_outbox);
begin
    if earlier is not null then
        return earlier;
    end if;
    room := (chat._lock_group(p_slot, p_room, p_actor)).room;
    if exists (select from chat.members where slot = p_slot and room_id = p_room and user_id = p_user) then
        return null;
    end if;
    if room.member_count >= p_max_members then
        raise exception 'over % members', p_max_members using errcode = 'CC105';
    end if;
    insert into chat.members (slot, room_id, user_id, name, display_name, role, version, delivered_seq, read_seq)
    values (p_slot, p_room, p_user, p_name, p_display, 'member', room.member_version + 1, room.last_seq, room.last_seq);
    update chat.rooms set member_version = member_version + 1, member_count = member_count + 1
    where slot = p_slot and room_id = p_room;
    insert into chat.outbox (slot, id, room_id, event)
    values (p_slot, p_outbox, p_room, chat._joined(p_room, p_user, p_name, room.member_version + 1));
    if log then
        perform chat._log_membership(p_slot, p_room, p_user, p_outbox);
    end if;
    return room.member_version + 1;
end $$;

-- Removes a member; returns the room's new member version, or null when they were none.
-- When the owner goes, the one who has been in the room longest becomes owner.
create function chat.remove_member(p_slot integer, p_room uuid, p_actor uuid, p_user uuid, p_outbox uuid) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    log boolean := chat._guard(p_slot);
    locked record;
    gone chat.members;
    heir uuid;
    earlier bigint := chat._earlier_try(p_slot, p_outbox);
begin
    if earlier is not null then
        return earlier;
    end if;
    locked := chat._lock_group(p_slot, p_room, p_actor);
    if p_actor <> p_user and locked.actor_role <> 'owner' then
        raise exception 'only the owner removes others' using errcode = 'CC103', detail = '{"why":"owner"}';
    end if;
    delete from chat.members where slot = p_slot and room_id = p_room and user_id = p_user returning * into gone;
    if not found then
        return null;
    end if;
    if gone.role = 'owner' then
        update chat.members set role = 'owner' where slot = p_slot and room_id = p_room and user_id = (
            select m.user_id from chat.members m where m.slot = p_slot and m.room_id = p_room order by m.version limit 1
        ) returning user_id into heir;
        if log and heir is not null then
            perform chat._log(p_slot, 'member', jsonb_build_array(p_room, heir));
        end if;
    end if;
    update chat.rooms set member_version = member_version + 1, member_count = member_count - 1
    where slot = p_slot and room_id = p_room;
    insert into chat.outbox (slot, id, room_id, event)
    values (p_slot, p_outbox, p_room, chat._left(p_room, p_user, (locked.room).member_version + 1));
    if log then
        perform chat._log_membership(p_slot, p_room, p_user, p_outbox);
    end if;
    return (locked.room).member_version + 1;
end $$;

-- Raises a member's marks; lower values change nothing, values over last_seq are cut to it. What was read was delivered.
create function chat.mark(p_slot integer, p_room uuid, p_user uuid, p_delivered bigint, p_read bigint)
returns table (delivered_seq bigint, read_seq bigint, changed boolean)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    log boolean := chat._guard(p_slot);
begin
    return query
    update chat.members m
    set delivered_seq = greatest(m.delivered_seq, least(greatest(p_delivered, p_read, 0), r.last_seq)),
        read_seq = greatest(m.read_seq, least(coalesce(p_read, 0), r.last_seq))
    from chat.rooms r
    where m.slot = p_slot and m.room_id = p_room and m.user_id = p_user and r.slot = p_slot and r.room_id = p_room
      and (least(greatest(p_delivered, p_read, 0), r.last_seq) > m.delivered_seq
           or least(coalesce(p_read, 0), r.last_seq) > m.read_seq)
    returning m.delivered_seq, m.read_seq, true;
    if found then
        if log then
            perform chat._log(p_slot, 'member', jsonb_build_array(p_room, p_user));
        end if;
        return;
    end if;
    return query
    select m.delivered_seq, m.read_seq, false from chat.members m
    where m.slot = p_slot and m.room_id = p_room and m.user_id = p_user;
    if not found then
        raise exception 'not a member' using errcode = 'CC102';
    end if;
end $$;

-- One room as its member sees it.
create function chat.room(p_slot integer, p_room uuid, p_user uuid)
returns table (
    kind text, title text, last_seq bigint, delivered_seq bigint, read_seq bigint, created_ms bigint, role text
)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    return query
    select r.kind, r.title, r.last_seq, m.delivered_seq, m.read_seq, chat._millis(r.created_at), m.role
    from chat.slot_ownership o
    left join chat.members m on m.slot = o.slot and m.room_id = p_room and m.user_id = p_user
    left join chat.rooms r on r.slot = m.slot and r.room_id = m.room_id
    where o.slot = p_slot and chat._readable(o.state);
    if not found then
        perform chat._refuse_read(p_slot);
    end if;
end $$;

-- The members of a room if p_user is one of them; else one row of nulls.
create function chat.members(p_slot integer, p_room uuid, p_user uuid)
returns table (user_id uuid, name text, display_name text, role text, delivered_seq bigint, read_seq bigint)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    return query
    select m.user_id, m.name, m.display_name, m.role, m.delivered_seq, m.read_seq
    from chat.slot_ownership o
    left join chat.members asking on asking.slot = o.slot and asking.room_id = p_room and asking.user_id = p_user
    left join chat.members m on m.slot = asking.slot and m.room_id = asking.room_id
    where o.slot = p_slot and chat._readable(o.state)
    order by m.version;
    if not found then
        perform chat._refuse_read(p_slot);
    end if;
end $$;

-- A role, or null: the check that every ephemeral event passes.
create function chat.membership(p_slot integer, p_room uuid, p_user uuid) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    answer text;
begin
    select m.role into answer
    from chat.slot_ownership o
    left join chat.members m on m.slot = o.slot and m.room_id = p_room and m.user_id = p_user
    where o.slot = p_slot and chat._readable(o.state);
    if not found then
        perform chat._refuse_read(p_slot);
    end if;
    return answer;
end $$;

-- Several rooms as one user sees them. A room whose slot is elsewhere comes back with `readable` false, one that the user
-- is not in with nulls.
create function chat.rooms_of(p_user uuid, p_slots integer[], p_rooms uuid[])
returns table (
    room_id uuid, readable boolean, kind text, title text, last_seq bigint, delivered_seq bigint, read_seq bigint,
    created_ms bigint
)
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
    select w.room_id, o.slot is not null, r.kind, r.title, r.last_seq, m.delivered_seq, m.read_seq,
           chat._millis(r.created_at)
    from unnest(p_slots, p_rooms) as w (slot, room_id)
    left join chat.slot_ownership o on o.slot = w.slot and chat._readable(o.state)
    left join chat.members m on m.slot = o.slot and m.room_id = w.room_id and m.user_id = p_user
    left join chat.rooms r on r.slot = m.slot and r.room_id = m.room_id
$$;

-- last_seq of several rooms; `readable` as in rooms_of, null for a room that does not exist.
create function chat.positions(p_slots integer[], p_rooms uuid[])
returns table (room_id uuid, readable boolean, last_seq bigint)
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
    select w.room_id, o.slot is not null, r.last_seq
    from unnest(p_slots, p_rooms) as w (slot, room_id)
    left join chat.slot_ownership o on o.slot = w.slot and chat._readable(o.state)
    left join chat.rooms r on r.slot = o.slot and r.room_id = w.room_id
$$;
