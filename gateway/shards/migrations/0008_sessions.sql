-- Sessions: one row for each sign-in, in the user's slot. Ending a session deletes its row.

create table chat.sessions (
    slot          integer not null,
    user_id       uuid not null,
    session_id    uuid not null,
    -- SHA-256 of the refresh token that is good now.
    token_hash    bytea not null check (octet_length(token_hash) = 32),
    -- The one before it, and what led from it to this one: for a client that lost the answer.
    previous_hash bytea check (octet_length(previous_hash) = 32),
    salt          bytea check (octet_length(salt) = 32),
    created_at    timestamptz not null default clock_timestamp(),
    -- Time of the last rotation.
    used_at       timestamptz not null default clock_timestamp(),
    -- Moved on by each rotation, never beyond ends_at.
    expires_at    timestamptz not null,
    ends_at       timestamptz not null,
    user_agent    text not null check (char_length(user_agent) <= 200),
    primary key (slot, user_id, session_id),
    constraint expires_before_its_end check (expires_at <= ends_at),
    constraint salt_of_the_previous check ((previous_hash is null) = (salt is null))
) with (fillfactor = 70);

alter table chat.slot_changes
    drop constraint slot_changes_kind_check,
    add constraint slot_changes_kind_check
        check (kind in ('room', 'member', 'message', 'reaction', 'outbox', 'user', 'user_room', 'session'));

create function chat._log_sessions(p_slot integer, p_user uuid, p_sessions uuid[]) returns void
language sql volatile set search_path = pg_catalog, pg_temp
as $$ select chat._log(p_slot, 'session', jsonb_build_array(p_user, s)) from unnest(p_sessions) as s $$;

-- Makes a session; false for a repeat. Those of the user that have run out go, and beyond p_limit the ones unused for longest.
create function chat.create_session(
    p_slot integer, p_user uuid, p_session uuid, p_hash bytea, p_idle integer, p_life integer, p_agent text, p_limit integer
)
returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    log boolean := chat._guard(p_slot);
    now timestamptz := clock_timestamp();
    gone uuid[];
begin
    if not exists (select from chat.users where slot = p_slot and user_id = p_user) then
        raise exception 'no such user' using errcode = 'CC106';
    end if;
    insert into chat.sessions (slot, user_id, session_id, token_hash, created_at, used_at, expires_at, ends_at, user_agent)
    values (p_slot, p_user, p_session, p_hash, now, now, now + make_interval(secs => least(p_idle, p_life)),
            now + make_interval(secs => p_life), p_agent)
    on conflict do nothing;
    if not found then
        return false;
    end if;
    with ranked as (
        select session_id, expires_at, row_number() over (order by session_id = p_session desc, used_at desc, session_id desc) as n
        from chat.sessions where slot = p_slot and user_id = p_user
    ), deleted as (
        delete from chat.sessions s using ranked r
        where s.slot = p_slot and s.user_id = p_user and s.session_id = r.session_id
            and s.session_id <> p_session and (r.expires_at <= now or r.n > p_limit)
        returning s.session_id
    )
    select array_agg(session_id) into gone from deleted;
    if log then
        perform chat._log_sessions(p_slot, p_user, array_append(gone, p_session));
    end if;
    return true;
end $$;

-- Uses a refresh token. `outcome`: rotated; repeated (the token before, within p_repeat seconds, its successor unused: `salt` leads
-- to it); reused (the session has been ended); ended. The lock on the row puts uses of one session one after the other. A repeat of
-- the very same call after a lost answer is a repeated use.
create function chat.refresh_session(
    p_slot integer, p_user uuid, p_session uuid, p_hash bytea, p_next bytea, p_salt bytea, p_idle integer, p_repeat integer,
    p_agent text
)
returns table (outcome text, salt bytea, expires_ms bigint, name text, display_name text)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    log boolean := chat._guard(p_slot);
    now timestamptz := clock_timestamp();
    s chat.sessions;
    verdict text;
begin
    select * into s from chat.sessions where slot = p_slot and user_id = p_user and session_id = p_session for update;
    verdict := case
        when s.session_id is null then 'ended'
        when s.expires_at <= now then 'ended'
        when s.token_hash = p_hash then 'rotated'
        when s.previous_hash = p_hash and s.used_at + make_interval(secs => p_repeat) > now then 'repeated'
        else 'reused'
    end;
    if verdict = 'rotated' then
        update chat.sessions u
        set token_hash = p_next, previous_hash = p_hash, salt = p_salt, used_at = now, user_agent = p_agent,
            expires_at = least(now + make_interval(secs => p_idle), s.ends_at)
        where u.slot = p_slot and u.user_id = p_user and u.session_id = p_session
        returning * into s;
    elsif verdict in ('ended', 'reused') then
        delete from chat.sessions where slot = p_slot and user_id = p_user and session_id = p_session;
    end if;
    if log and verdict <> 'repeated' and s.session_id is not null then
        perform chat._log_sessions(p_slot, p_user, array[p_session]);
    end if;
    if verdict in ('ended', 'reused') then
        return query select verdict, null::bytea, null::bigint, null::text, null::text;
        return;
    end if;
    return query
    select verdict, s.salt, chat._millis(s.expires_at), u.name, u.display_name
    from chat.users u where u.slot = p_slot and u.user_id = p_user;
end $$;

create function chat._delete_sessions(p_slot integer, p_user uuid, p_only uuid, p_keep uuid, p_log boolean) returns integer
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    gone uuid[];
begin
    with deleted as (
        delete from chat.sessions
        where slot = p_slot and user_id = p_user and (p_only is null or session_id = p_only)
            and session_id is distinct from p_keep
        returning session_id
    )
    select array_agg(session_id) into gone from deleted;
    if p_log then
        perform chat._log_sessions(p_slot, p_user, gone);
    end if;
    return coalesce(array_length(gone, 1), 0);
end $$;

-- Ends one session; the number that ended.
create function chat.end_session(p_slot integer, p_user uuid, p_session uuid) returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    log boolean := chat._guard(p_slot);
begin
    return chat._delete_sessions(p_slot, p_user, p_session, null, log);
end $$;

-- Ends all sessions of a user but p_keep, which may be null; the number that ended.
create function chat.end_sessions(p_slot integer, p_user uuid, p_keep uuid) returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    log boolean := chat._guard(p_slot);
begin
    return chat._delete_sessions(p_slot, p_user, null, p_keep, log);
end $$;

-- Changes a password where the old hash stands, and ends the sessions but p_keep. True as well for a repeat of the same call: the
-- hash is salted, so an equal new one is the same request.
create function chat.change_password(p_slot integer, p_user uuid, p_old text, p_new text, p_keep uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    log boolean := chat._guard(p_slot);
begin
    update chat.users set password_hash = p_new where slot = p_slot and user_id = p_user and password_hash in (p_old, p_new);
    if not found then
        return false;
    end if;
    if log then
        perform chat._log(p_slot, 'user', jsonb_build_array(p_user));
    end if;
    perform chat._delete_sessions(p_slot, p_user, null, p_keep, log);
    return true;
end $$;

-- Finds the account of a user who signs in elsewhere, or makes it. An empty hash fits no password.
create function chat.ensure_user(p_slot integer, p_user uuid, p_name text, p_display text)
returns table (name text, display_name text)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    log boolean := chat._guard(p_slot);
begin
    insert into chat.users (slot, user_id, name, display_name, password_hash)
    values (p_slot, p_user, p_name, p_display, '')
    on conflict do nothing;
    if found and log then
        perform chat._log(p_slot, 'user', jsonb_build_array(p_user));
    end if;
    return query select u.name, u.display_name from chat.users u where u.slot = p_slot and u.user_id = p_user;
end $$;

-- The sessions of a user that go on, the newest first; a null row when there are none.
create function chat.sessions(p_slot integer, p_user uuid)
returns table (session_id uuid, created_ms bigint, used_ms bigint, expires_ms bigint, user_agent text)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    return query
    select s.session_id, chat._millis(s.created_at), chat._millis(s.used_at), chat._millis(s.expires_at), s.user_agent
    from chat.slot_ownership o
    left join chat.sessions s on s.slot = o.slot and s.user_id = p_user and s.expires_at > clock_timestamp()
    where o.slot = p_slot and chat._readable(o.state)
    order by s.created_at desc, s.session_id desc;
    if not found then
        perform chat._refuse_read(p_slot);
    end if;
end $$;

-- Whether a session goes on.
create function chat.session_lives(p_slot integer, p_user uuid, p_session uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    lives boolean;
begin
    select s.session_id is not null into lives
    from chat.slot_ownership o
    left join chat.sessions s
        on s.slot = o.slot and s.user_id = p_user and s.session_id = p_session and s.expires_at > clock_timestamp()
    where o.slot = p_slot and chat._readable(o.state);
    if not found then
        perform chat._refuse_read(p_slot);
    end if;
    return lives;
end $$;

-- The sessions that go on of several users; `readable` is false when a slot is elsewhere.
create function chat.live_sessions(p_slots integer[], p_users uuid[])
returns table (user_id uuid, readable boolean, sessions uuid[])
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
    select w.user_id, o.slot is not null,
           array(select s.session_id from chat.sessions s
                 where s.slot = o.slot and s.user_id = w.user_id and s.expires_at > clock_timestamp())
    from unnest(p_slots, p_users) as w (slot, user_id)
    left join chat.slot_ownership o on o.slot = w.slot and chat._readable(o.state)
$$;
