-- Changes of rooms, members and mutes carry an id of the client, as entries do, so that a repeat gets the first answer and does nothing.

-- Requests that were carried out. A user's own: an id of somebody else is no secret, and must lead to nobody else's answer.
create table chat.requests (
    slot          integer not null,
    room_id       uuid not null,
    user_id       uuid not null,
    request_id    uuid not null,
    -- SHA-256 of what was asked, so that an id which comes back with something else is found out.
    asked         bytea not null check (octet_length(asked) = 32),
    -- What making the room was answered, beside what never changes about a room; null for other requests, which are only ever done.
    created       boolean,
    last_seq      bigint,
    delivered_seq bigint,
    read_seq      bigint,
    primary key (slot, room_id, user_id, request_id),
    constraint a_room_is_answered_whole check (num_nulls(created, last_seq, delivered_seq, read_seq) in (0, 4))
);

alter table chat.slot_changes
    drop constraint slot_changes_kind_check,
    add constraint slot_changes_kind_check check (
        kind in ('room', 'member', 'message', 'reaction', 'outbox', 'user', 'user_room', 'session', 'answer', 'request'));

-- Whether a request was carried out before; refuses an id that was used for something else. Holds the room's row, so that of two at once
-- one is the repeat of the other. Comes before the check of membership: who was removed since still gets the answer.
create function chat._done_before(p_slot integer, p_room uuid, p_user uuid, p_request uuid, p_asked bytea) returns boolean
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    earlier bytea;
begin
    if p_request is null then
        return false;
    end if;
    perform from chat.rooms where slot = p_slot and room_id = p_room for no key update;
    select asked into earlier from chat.requests
    where slot = p_slot and room_id = p_room and user_id = p_user and request_id = p_request;
    if not found then
        return false;
    end if;
    if earlier <> p_asked then
        raise exception 'the request id was used for another request' using errcode = 'CC107', detail = '{"field":"request_id"}';
    end if;
    return true;
end $$;

-- Remembers a request, for the transaction that carries it out.
create function chat._keep_request(
    p_slot integer, p_room uuid, p_user uuid, p_request uuid, p_asked bytea, p_log boolean
) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
begin
    if p_request is null then
        return;
    end if;
    insert into chat.requests (slot, room_id, user_id, request_id, asked)
    values (p_slot, p_room, p_user, p_request, p_asked);
    if p_log then
        perform chat._log(p_slot, 'request', jsonb_build_array(p_room, p_user, p_request));
    end if;
end $$;

-- As create_room with nine arguments, which gateways of the version before call during a rollout. A repeat of the request is answered as
-- the first one was, and is `repeated` unless it is one of the very call, whose outbox rows its caller waits for.
create function chat.create_room(
    p_slot integer, p_room uuid, p_kind text, p_title text,
    p_users uuid[], p_names text[], p_displays text[], p_outbox uuid[], p_max_members integer, p_request uuid, p_asked bytea
)
returns table (
    kind text, title text, last_seq bigint, delivered_seq bigint, read_seq bigint, created_ms bigint, created boolean, repeated boolean
)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    log boolean := chat._guard(p_slot);
    again boolean := exists (select from chat.outbox where slot = p_slot and id = p_outbox[1]);
    done boolean := chat._done_before(p_slot, p_room, p_users[1], p_request, p_asked);
    made record;
begin
    if not done then
        select * into made
        from chat.create_room(p_slot, p_room, p_kind, p_title, p_users, p_names, p_displays, p_outbox, p_max_members);
        -- Of two at once the second has waited for the first to make the room.
        done := not made.created and chat._done_before(p_slot, p_room, p_users[1], p_request, p_asked);
    end if;
    if done then
        return query
        select r.kind, r.title, q.last_seq, q.delivered_seq, q.read_seq, chat._millis(r.created_at), q.created, not again
        from chat.requests q join chat.rooms r on r.slot = q.slot and r.room_id = q.room_id
        where q.slot = p_slot and q.room_id = p_room and q.user_id = p_users[1] and q.request_id = p_request;
        return;
    end if;
    perform chat._keep_request(p_slot, p_room, p_users[1], p_request, p_asked, log);
    update chat.requests
    set created = made.created, last_seq = made.last_seq, delivered_seq = made.delivered_seq, read_seq = made.read_seq
    where slot = p_slot and room_id = p_room and user_id = p_users[1] and request_id = p_request;
    return query
    select made.kind, made.title, made.last_seq, made.delivered_seq, made.read_seq, made.created_ms, made.created, false;
end $$;

-- What a request to make a room was answered; a row of nulls when it was not carried out.
create function chat.made_before(p_slot integer, p_room uuid, p_user uuid, p_request uuid, p_asked bytea)
returns table (
    kind text, title text, last_seq bigint, delivered_seq bigint, read_seq bigint, created_ms bigint, created boolean, same boolean
)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    return query
    select r.kind, r.title, q.last_seq, q.delivered_seq, q.read_seq, chat._millis(r.created_at), q.created, q.asked = p_asked
    from chat.slot_ownership o
    left join chat.requests q on q.slot = o.slot and q.room_id = p_room and q.user_id = p_user and q.request_id = p_request
    left join chat.rooms r on r.slot = q.slot and r.room_id = q.room_id
    where o.slot = p_slot and chat._readable(o.state);
    if not found then
        perform chat._refuse_read(p_slot);
    end if;
end $$;

-- The functions without a request, each with one: null, or false, when it is a repeat. Those without one serve gateways of the version
-- before during a rollout.
create function chat.add_member(
    p_slot integer, p_room uuid, p_actor uuid, p_user uuid, p_name text, p_display text, p_outbox uuid, p_max_members integer,
    p_request uuid, p_asked bytea
) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    log boolean := chat._guard(p_slot);
    version bigint := chat._earlier_try(p_slot, p_outbox);
begin
    if version is null and not chat._done_before(p_slot, p_room, p_actor, p_request, p_asked) then
        version := chat.add_member(p_slot, p_room, p_actor, p_user, p_name, p_display, p_outbox, p_max_members);
        perform chat._keep_request(p_slot, p_room, p_actor, p_request, p_asked, log);
    end if;
    return version;
end $$;

create function chat.remove_member(
    p_slot integer, p_room uuid, p_actor uuid, p_user uuid, p_outbox uuid, p_request uuid, p_asked bytea
) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    log boolean := chat._guard(p_slot);
    version bigint := chat._earlier_try(p_slot, p_outbox);
begin
    if version is null and not chat._done_before(p_slot, p_room, p_actor, p_request, p_asked) then
        version := chat.remove_member(p_slot, p_room, p_actor, p_user, p_outbox);
        perform chat._keep_request(p_slot, p_room, p_actor, p_request, p_asked, log);
    end if;
    return version;
end $$;

create function chat.set_role(
    p_slot integer, p_room uuid, p_actor uuid, p_user uuid, p_role text, p_outbox uuid, p_request uuid, p_asked bytea
) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    log boolean := chat._guard(p_slot);
    version bigint := chat._earlier_try(p_slot, p_outbox);
begin
    if version is null and not chat._done_before(p_slot, p_room, p_actor, p_request, p_asked) then
        version := chat.set_role(p_slot, p_room, p_actor, p_user, p_role, p_outbox);
        perform chat._keep_request(p_slot, p_room, p_actor, p_request, p_asked, log);
    end if;
    return version;
end $$;

-- True also when a repeat finds the mute as it asks for it.
create function chat.mute(p_slot integer, p_room uuid, p_user uuid, p_until_ms bigint, p_request uuid, p_asked bytea)
returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    log boolean := chat._guard(p_slot);
begin
    if chat._done_before(p_slot, p_room, p_user, p_request, p_asked) then
        return exists (
            select from chat.members
            where slot = p_slot and room_id = p_room and user_id = p_user
                and muted_until is not distinct from to_timestamp(p_until_ms / 1000.0));
    end if;
    perform chat.mute(p_slot, p_room, p_user, p_until_ms);
    perform chat._keep_request(p_slot, p_room, p_user, p_request, p_asked, log);
    return true;
end $$;
