-- Accounts and the list of a user's rooms.

-- Makes an account. True for a repeat of the same call as well: the hash is salted, so an equal one is the same request.
create function chat.create_user(p_slot integer, p_user uuid, p_name text, p_display text, p_hash text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    log boolean := chat._guard(p_slot);
begin
    insert into chat.users (slot, user_id, name, display_name, password_hash)
    values (p_slot, p_user, p_name, p_display, p_hash)
    on conflict do nothing;
    if found then
        if log then
            perform chat._log(p_slot, 'user', jsonb_build_array(p_user));
        end if;
        return true;
    end if;
    if not exists (
        select from chat.users
        where slot = p_slot and user_id = p_user and name = p_name and display_name = p_display and password_hash = p_hash
    ) then
        raise exception 'the name is taken' using errcode = 'CC104';
    end if;
    return false;
end $$;

-- Several accounts; `readable` is false when a slot is elsewhere, the rest is null when there is no such account.
create function chat.users(p_slots integer[], p_users uuid[])
returns table (user_id uuid, readable boolean, name text, display_name text)
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
    select w.user_id, o.slot is not null, u.name, u.display_name
    from unnest(p_slots, p_users) as w (slot, user_id)
    left join chat.slot_ownership o on o.slot = w.slot and chat._readable(o.state)
    left join chat.users u on u.slot = o.slot and u.user_id = w.user_id
$$;

-- An account with its password hash; one row of nulls when there is none.
create function chat.credentials(p_slot integer, p_user uuid)
returns table (name text, display_name text, password_hash text)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    return query
    select u.name, u.display_name, u.password_hash
    from chat.slot_ownership o
    left join chat.users u on u.slot = o.slot and u.user_id = p_user
    where o.slot = p_slot and chat._readable(o.state);
    if not found then
        perform chat._refuse_read(p_slot);
    end if;
end $$;

-- Ids of the rooms a user is in, newest room first; at most p_limit. A null row when there are none.
create function chat.user_rooms(p_slot integer, p_user uuid, p_limit integer)
returns table (room_id uuid)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    return query
    select u.room_id
    from chat.slot_ownership o
    left join chat.user_rooms u on u.slot = o.slot and u.user_id = p_user and u.joined
    where o.slot = p_slot and chat._readable(o.state)
    order by u.room_id desc limit p_limit;
    if not found then
        perform chat._refuse_read(p_slot);
    end if;
end $$;

-- Applies a membership event to the list; an older or equal version changes nothing. True when it changed.
create function chat.apply_membership(p_slot integer, p_user uuid, p_room uuid, p_joined boolean, p_version bigint)
returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    log boolean := chat._guard(p_slot);
begin
    insert into chat.user_rooms as u (slot, user_id, room_id, joined, version)
    values (p_slot, p_user, p_room, p_joined, p_version)
    on conflict (slot, user_id, room_id) do update set joined = excluded.joined, version = excluded.version
    where u.version < excluded.version;
    if not found then
        return false;
    end if;
    if log then
        perform chat._log(p_slot, 'user_room', jsonb_build_array(p_user, p_room));
    end if;
    return true;
end $$;
