-- Admins, muted rooms, members page by page, and rooms with what is unread in them.

alter table chat.members drop constraint members_role_check;
alter table chat.members
    add constraint members_role_check check (role in ('owner', 'admin', 'member')),
    -- Until when the member wants no notifications; null: wants them.
    add column muted_until timestamptz;

create function chat._role_changed(p_room uuid, p_user uuid, p_role text, p_former uuid, p_version bigint) returns jsonb
language sql immutable
as $$ select jsonb_build_object('kind', 'role', 'room', p_room, 'user', p_user, 'role', p_role, 'former_owner', p_former,
                                'version', p_version) $$;

-- Gives a member of a group another role; returns the room's new member version, or null when they had it. Only the owner does that;
-- a room has one owner, so who is made owner takes the place of the actor, who becomes admin.
create function chat.set_role(p_slot integer, p_room uuid, p_actor uuid, p_user uuid, p_role text, p_outbox uuid) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    log boolean := chat._guard(p_slot);
    locked record;
    present text;
    former uuid;
    earlier bigint := chat._earlier_try(p_slot, p_outbox);
begin
    if earlier is not null then
        return earlier;
    end if;
    locked := chat._lock_group(p_slot, p_room, p_actor);
    if locked.actor_role <> 'owner' then
        raise exception 'only the owner gives roles' using errcode = 'CC103', detail = '{"why":"owner"}';
    end if;
    select role into present from chat.members where slot = p_slot and room_id = p_room and user_id = p_user;
    if not found then
        raise exception 'no such member' using errcode = 'CC106';
    end if;
    if present = p_role then
        return null;
    end if;
    if present = 'owner' then
        raise exception 'a room has an owner: make somebody else owner instead'
            using errcode = 'CC103', detail = '{"why":"ownerless"}';
    end if;
    if p_role = 'owner' then
        former := p_actor;
        update chat.members set role = 'admin' where slot = p_slot and room_id = p_room and user_id = p_actor;
    end if;
    update chat.members set role = p_role where slot = p_slot and room_id = p_room and user_id = p_user;
    update chat.rooms set member_version = member_version + 1 where slot = p_slot and room_id = p_room;
    insert into chat.outbox (slot, id, room_id, event)
    values (p_slot, p_outbox, p_room, chat._role_changed(p_room, p_user, p_role, former, (locked.room).member_version + 1));
    if log then
        perform chat._log_membership(p_slot, p_room, p_user, p_outbox);
        if former is not null then
            perform chat._log(p_slot, 'member', jsonb_build_array(p_room, former));
        end if;
    end if;
    return (locked.room).member_version + 1;
end $$;

-- As before; admins remove members as well, and of several heirs an admin comes first.
create or replace function chat.remove_member(p_slot integer, p_room uuid, p_actor uuid, p_user uuid, p_outbox uuid) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    log boolean := chat._guard(p_slot);
    locked record;
    gone chat.members;
    heir uuid;
    heirs_outbox uuid;
    version bigint;
    earlier bigint := chat._earlier_try(p_slot, p_outbox);
begin
    if earlier is not null then
        return earlier;
    end if;
    locked := chat._lock_group(p_slot, p_room, p_actor);
    select * into gone from chat.members where slot = p_slot and room_id = p_room and user_id = p_user;
    if p_actor <> p_user and locked.actor_role <> 'owner'
        and (locked.actor_role <> 'admin' or coalesce(gone.role, 'member') <> 'member')
    then
        raise exception 'the owner removes others, and admins remove members' using errcode = 'CC103', detail = '{"why":"role"}';
    end if;
    if gone is null then
        return null;
    end if;
    delete from chat.members where slot = p_slot and room_id = p_room and user_id = p_user;
    version := (locked.room).member_version + 1;
    if gone.role = 'owner' then
        update chat.members set role = 'owner' where slot = p_slot and room_id = p_room and user_id = (
            select m.user_id from chat.members m where m.slot = p_slot and m.room_id = p_room
            order by m.role <> 'admin', m.version limit 1
        ) returning user_id into heir;
        if heir is not null then
            -- Nobody waits for this one: the sweeper brings it.
            version := version + 1;
            heirs_outbox := gen_random_uuid();
            insert into chat.outbox (slot, id, room_id, event)
            values (p_slot, heirs_outbox, p_room, chat._role_changed(p_room, heir, 'owner', null, version));
            if log then
                perform chat._log_membership(p_slot, p_room, heir, heirs_outbox);
            end if;
        end if;
    end if;
    update chat.rooms set member_version = version, member_count = member_count - 1 where slot = p_slot and room_id = p_room;
    version := (locked.room).member_version + 1;
    insert into chat.outbox (slot, id, room_id, event)
    values (p_slot, p_outbox, p_room, chat._left(p_room, p_user, version));
    if log then
        perform chat._log_membership(p_slot, p_room, p_user, p_outbox);
    end if;
    return version;
end $$;

-- Sets until when a member wants no notifications of a room, in milliseconds since 1970; null: wants them.
create function chat.mute(p_slot integer, p_room uuid, p_user uuid, p_until_ms bigint) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    log boolean := chat._guard(p_slot);
begin
    update chat.members set muted_until = to_timestamp(p_until_ms / 1000.0)
    where slot = p_slot and room_id = p_room and user_id = p_user;
    if not found then
        raise exception 'not a member' using errcode = 'CC102';
    end if;
    if log then
        perform chat._log(p_slot, 'member', jsonb_build_array(p_room, p_user));
    end if;
end $$;

-- Members of a room in the order in which they joined, after the version p_after, if p_user is one of them; else one row of nulls.
create function chat.members_page(p_slot integer, p_room uuid, p_user uuid, p_after bigint, p_limit integer)
returns table (
    asked boolean, user_id uuid, name text, display_name text, role text, delivered_seq bigint, read_seq bigint, version bigint
)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    return query
    select asking.user_id is not null, m.user_id, m.name, m.display_name, m.role, m.delivered_seq, m.read_seq, m.version
    from chat.slot_ownership o
    left join chat.members asking on asking.slot = o.slot and asking.room_id = p_room and asking.user_id = p_user
    left join chat.members m on m.slot = asking.slot and m.room_id = asking.room_id and m.version > p_after
    where o.slot = p_slot and chat._readable(o.state)
    order by m.version limit p_limit;
    if not found then
        perform chat._refuse_read(p_slot);
    end if;
end $$;

-- Rooms as their list shows them to one user; `readable` and nulls as in rooms_of. What is unread is counted in the entries themselves,
-- so it cannot drift: texts of others after the read mark, over at most p_window entries.
create function chat.summaries(p_user uuid, p_slots integer[], p_rooms uuid[], p_window integer)
returns table (
    room_id uuid, readable boolean, kind text, title text, last_seq bigint, delivered_seq bigint, read_seq bigint,
    created_ms bigint, role text, muted_ms bigint, member_count integer, unread bigint, mentioned bigint,
    newest_seq bigint, newest_sender uuid, newest_name text, newest_body text, newest_ms bigint, newest_deleted boolean
)
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
    select w.room_id, o.slot is not null, r.kind, r.title, r.last_seq, m.delivered_seq, m.read_seq,
           chat._millis(r.created_at), m.role, chat._millis(m.muted_until), r.member_count, u.unread, u.mentioned,
           n.seq, n.sender, n.sender_name, left(n.body, 200), chat._millis(n.at), n.deleted
    from unnest(p_slots, p_rooms) as w (slot, room_id)
    left join chat.slot_ownership o on o.slot = w.slot and chat._readable(o.state)
    left join chat.members m on m.slot = o.slot and m.room_id = w.room_id and m.user_id = p_user
    left join chat.rooms r on r.slot = m.slot and r.room_id = m.room_id
    left join lateral (
        select count(*) as unread, count(*) filter (where p_user = any (x.mentions)) as mentioned
        from (
            select y.sender, y.kind, y.mentions, y.deleted from chat.messages y
            where y.slot = r.slot and y.room_id = r.room_id and y.seq > m.read_seq order by y.seq limit p_window
        ) x where x.kind = 'text' and x.sender <> p_user and not x.deleted
    ) u on true
    left join lateral (
        select * from (
            select * from chat.messages z
            where z.slot = r.slot and z.room_id = r.room_id order by z.seq desc limit p_window
        ) y where y.kind = 'text' order by y.seq desc limit 1
    ) n on true
$$;
