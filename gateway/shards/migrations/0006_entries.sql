-- A room's log holds more than texts: an edit, a deletion, a reaction is an entry with a seq of its own, so that it is ordered, relayed,
-- resumed and repeated as messages are. The row of the text it changes always shows the newest state.

alter table chat.messages
    add column kind text not null default 'text' check (kind in ('text', 'edit', 'delete', 'react', 'unreact')),
    -- seq of the text that this entry changes.
    add column target bigint,
    -- seq of the text that this text answers.
    add column reply_to bigint,
    -- Members whom this text addresses.
    add column mentions uuid[] not null default '{}',
    -- When the body was last changed; null while it is the first one.
    add column edited_at timestamptz,
    -- The body is gone: the text was deleted, or the edit was superseded.
    add column deleted boolean not null default false,
    -- SHA-256 of the first body once it is gone, so that a repeat of the first send is still recognised.
    add column first_body bytea,
    add constraint changes_name_a_text check ((kind = 'text') = (target is null));
create index messages_by_target on chat.messages (slot, room_id, target) where target is not null;

create table chat.reactions (
    slot    integer not null,
    room_id uuid not null,
    target  bigint not null,
    user_id uuid not null,
    emoji   text not null check (octet_length(emoji) between 1 and 64),
    -- The entry that made it.
    seq     bigint not null,
    primary key (slot, room_id, target, user_id, emoji)
);

alter table chat.slot_changes drop constraint slot_changes_kind_check;
alter table chat.slot_changes add constraint slot_changes_kind_check
    check (kind in ('room', 'member', 'message', 'reaction', 'outbox', 'user', 'user_room'));

-- Whether a body is the one that an entry had first.
create function chat._is_first_body(p_entry chat.messages, p_body text) returns boolean
language sql immutable set search_path = pg_catalog, pg_temp
as $$ select case when p_entry.first_body is null then p_entry.body = p_body
                  else p_entry.first_body = sha256(convert_to(p_body, 'UTF8')) end $$;

create function chat._log_entry(p_slot integer, p_room uuid, p_seq bigint, p_outbox uuid) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
begin
    perform chat._log(p_slot, 'room', jsonb_build_array(p_room));
    perform chat._log(p_slot, 'message', jsonb_build_array(p_room, p_seq));
    perform chat._log(p_slot, 'outbox', jsonb_build_array(p_outbox));
end $$;

-- Stores a text; see send_message with six arguments for what holds. A mention of somebody who is no member is left out.
create function chat.send_message(
    p_slot integer, p_room uuid, p_message uuid, p_sender uuid, p_body text, p_reply_to bigint, p_mentions uuid[], p_outbox uuid
)
returns table (seq bigint, sender_name text, at_ms bigint, duplicate boolean, mentions uuid[])
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    log boolean := chat._guard(p_slot);
    next bigint;
    display text;
    first chat.messages;
    stamp timestamptz;
    addressed uuid[] := '{}';
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
    if p_reply_to is not null and not exists (
        select from chat.messages m
        where m.slot = p_slot and m.room_id = p_room and m.seq = p_reply_to and m.kind = 'text'
    ) then
        raise exception 'no such message' using errcode = 'CC108', detail = '{"field":"reply_to"}';
    end if;
    if cardinality(p_mentions) > 0 then
        select coalesce(array_agg(m.user_id order by m.user_id), '{}') into addressed
        from chat.members m where m.slot = p_slot and m.room_id = p_room and m.user_id = any (p_mentions);
    end if;
    stamp := date_trunc('milliseconds', clock_timestamp());
    insert into chat.messages (slot, room_id, seq, message_id, sender, sender_name, body, at, reply_to, mentions)
    values (p_slot, p_room, next, p_message, p_sender, display, p_body, stamp, p_reply_to, addressed)
    on conflict (slot, room_id, message_id) do nothing;
    if not found then
        select * into first from chat.messages where slot = p_slot and room_id = p_room and message_id = p_message;
        if first.sender <> p_sender or first.kind <> 'text' or first.reply_to is distinct from p_reply_to
            or not chat._is_first_body(first, p_body)
        then
            raise exception 'the message id was used for another message' using errcode = 'CC107';
        end if;
        -- Give the number back: nobody has seen it, the row is locked.
        update chat.rooms set last_seq = next - 1 where slot = p_slot and room_id = p_room;
        return query select first.seq, first.sender_name, chat._millis(first.at),
            not exists (select from chat.outbox where slot = p_slot and id = p_outbox), first.mentions;
        return;
    end if;
    insert into chat.outbox (slot, id, room_id, seq) values (p_slot, p_outbox, p_room, next);
    if log then
        perform chat._log_entry(p_slot, p_room, next, p_outbox);
    end if;
    return query select next, display, chat._millis(stamp), false, addressed;
end $$;

-- Gateways of the version before call this one during a rollout.
create or replace function chat.send_message(
    p_slot integer, p_room uuid, p_message uuid, p_sender uuid, p_body text, p_outbox uuid
)
returns table (seq bigint, sender_name text, at_ms bigint, duplicate boolean)
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
    select seq, sender_name, at_ms, duplicate
    from chat.send_message(p_slot, p_room, p_message, p_sender, p_body, null, '{}', p_outbox)
$$;

-- Forgets what a text said: its own body, and the bodies of the edits that an edit or the deletion p_seq supersedes.
create function chat._supersede(p_slot integer, p_room uuid, p_target bigint, p_seq bigint, p_log boolean) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    superseded bigint;
begin
    for superseded in
        update chat.messages
        set body = '', deleted = true, first_body = coalesce(first_body, sha256(convert_to(body, 'UTF8')))
        where slot = p_slot and room_id = p_room and target = p_target and seq <> p_seq and kind = 'edit' and not deleted
        returning seq
    loop
        if p_log then
            perform chat._log(p_slot, 'message', jsonb_build_array(p_room, superseded));
        end if;
    end loop;
end $$;

-- Stores an edit, a deletion, a reaction or the end of one as an entry of its own and brings the text it names up to date. Repeats
-- are recognised as those of a text are; a reaction that is there already is answered with the entry that made it.
create function chat.change_message(
    p_slot integer, p_room uuid, p_message uuid, p_sender uuid, p_kind text, p_target bigint, p_body text, p_outbox uuid,
    p_max_reactions integer
)
returns table (seq bigint, sender_name text, at_ms bigint, duplicate boolean)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    log boolean := chat._guard(p_slot);
    room chat.rooms;
    member chat.members;
    first chat.messages;
    changed chat.messages;
    next bigint;
    gone record;
    stamp timestamptz;
begin
    select * into room from chat.rooms where slot = p_slot and room_id = p_room for no key update;
    if not found then
        raise exception 'no such room' using errcode = 'CC101';
    end if;
    select * into member from chat.members where slot = p_slot and room_id = p_room and user_id = p_sender;
    if not found then
        raise exception 'not a member' using errcode = 'CC102';
    end if;
    select * into first from chat.messages where slot = p_slot and room_id = p_room and message_id = p_message;
    if found then
        if first.sender <> p_sender or first.kind <> p_kind or first.target is distinct from p_target
            or not chat._is_first_body(first, p_body)
        then
            raise exception 'the message id was used for another message' using errcode = 'CC107';
        end if;
        return query select first.seq, first.sender_name, chat._millis(first.at),
            not exists (select from chat.outbox where slot = p_slot and id = p_outbox);
        return;
    end if;
    select * into changed from chat.messages where slot = p_slot and room_id = p_room and seq = p_target;
    if not found or changed.kind <> 'text' or changed.deleted then
        raise exception 'no such message' using errcode = 'CC108', detail = '{"field":"target"}';
    end if;
    next := room.last_seq + 1;
    stamp := date_trunc('milliseconds', clock_timestamp());
    case p_kind
        when 'edit', 'delete' then
            if changed.sender <> p_sender
                and (p_kind = 'edit' or room.kind = 'direct' or member.role not in ('owner', 'admin'))
            then
                raise exception 'only its sender changes a message' using errcode = 'CC103', detail = '{"why":"sender"}';
            end if;
            update chat.messages
            set body = p_body, deleted = (p_kind = 'delete'), edited_at = stamp,
                first_body = coalesce(first_body, sha256(convert_to(body, 'UTF8')))
            where slot = p_slot and room_id = p_room and seq = p_target;
            if log then
                perform chat._log(p_slot, 'message', jsonb_build_array(p_room, p_target));
            end if;
            perform chat._supersede(p_slot, p_room, p_target, next, log);
            if p_kind = 'delete' then
                for gone in
                    delete from chat.reactions where slot = p_slot and room_id = p_room and target = p_target
                    returning user_id, emoji
                loop
                    if log then
                        perform chat._log(p_slot, 'reaction', jsonb_build_array(p_room, p_target, gone.user_id, gone.emoji));
                    end if;
                end loop;
            end if;
        when 'react' then
            select m.* into first
            from chat.reactions r join chat.messages m on m.slot = r.slot and m.room_id = r.room_id and m.seq = r.seq
            where r.slot = p_slot and r.room_id = p_room and r.target = p_target and r.user_id = p_sender and r.emoji = p_body;
            if found then
                return query select first.seq, first.sender_name, chat._millis(first.at), true;
                return;
            end if;
            if (select count(*) from chat.reactions
                where slot = p_slot and room_id = p_room and target = p_target and user_id = p_sender) >= p_max_reactions
            then
                raise exception 'over % reactions', p_max_reactions using errcode = 'CC105', detail = '{"what":"reactions"}';
            end if;
            insert into chat.reactions (slot, room_id, target, user_id, emoji, seq)
            values (p_slot, p_room, p_target, p_sender, p_body, next);
        when 'unreact' then
            delete from chat.reactions
            where slot = p_slot and room_id = p_room and target = p_target and user_id = p_sender and emoji = p_body;
            if not found then
                raise exception 'no such reaction' using errcode = 'CC108', detail = '{"field":"emoji"}';
            end if;
    end case;
    if log and p_kind in ('react', 'unreact') then
        perform chat._log(p_slot, 'reaction', jsonb_build_array(p_room, p_target, p_sender, p_body));
    end if;
    update chat.rooms set last_seq = next where slot = p_slot and room_id = p_room;
    insert into chat.messages (slot, room_id, seq, message_id, sender, sender_name, body, at, kind, target)
    values (p_slot, p_room, next, p_message, p_sender, member.display_name, p_body, stamp, p_kind, p_target);
    insert into chat.outbox (slot, id, room_id, seq) values (p_slot, p_outbox, p_room, next);
    if log then
        perform chat._log_entry(p_slot, p_room, next, p_outbox);
    end if;
    return query select next, member.display_name, chat._millis(stamp), false;
end $$;

-- Entries of a room, for p_user if given: after p_after upwards, else before p_before (null: from the newest) downwards; only
-- texts, with their reactions, if p_texts. `member` is false when p_user is not in the room; a row whose seq is null carries no entry.
-- `last_seq` is the room's at the same moment: what comes later is not yet in the texts and their reactions.
create function chat.entries(
    p_slot integer, p_room uuid, p_user uuid, p_before bigint, p_after bigint, p_limit integer, p_texts boolean
)
returns table (
    member boolean, last_seq bigint, seq bigint, message_id uuid, sender uuid, sender_name text, body text, at_ms bigint, kind text,
    target bigint, reply_to bigint, mentions uuid[], edited_ms bigint, deleted boolean, reactions jsonb
)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    return query
    select a.ok, r.last_seq, x.seq, x.message_id, x.sender, x.sender_name, x.body, chat._millis(x.at), x.kind, x.target,
           x.reply_to, x.mentions, chat._millis(x.edited_at), x.deleted, y.reactions
    from chat.slot_ownership o
    cross join lateral (select p_user is null or exists (
        select from chat.members m where m.slot = o.slot and m.room_id = p_room and m.user_id = p_user) as ok) a
    left join chat.rooms r on a.ok and r.slot = o.slot and r.room_id = p_room
    left join lateral (
        (select * from chat.messages m
         where p_after is not null and m.slot = r.slot and m.room_id = r.room_id and m.seq > p_after
           and (m.kind = 'text' or not p_texts)
         order by m.seq limit p_limit)
        union all
        (select * from chat.messages m
         where p_after is null and m.slot = r.slot and m.room_id = r.room_id
           and m.seq < coalesce(p_before, 9223372036854775807) and (m.kind = 'text' or not p_texts)
         order by m.seq desc limit p_limit)
    ) x on true
    left join lateral (
        select jsonb_agg(jsonb_build_array(g.emoji, g.n, g.mine) order by g.since) as reactions
        from (
            select e.emoji, count(*) as n, bool_or(e.user_id is not distinct from p_user) as mine, min(e.seq) as since
            from chat.reactions e
            where p_texts and e.slot = r.slot and e.room_id = r.room_id and e.target = x.seq
            group by e.emoji
        ) g
    ) y on p_texts
    where o.slot = p_slot and chat._readable(o.state);
    if not found then
        perform chat._refuse_read(p_slot);
    end if;
end $$;

-- As claim_outbox, with everything that an entry says.
create function chat.claim_entries(p_min_age interval, p_hold interval, p_limit integer)
returns table (
    slot integer, id uuid, created_ms bigint, event jsonb, room_id uuid, seq bigint, message_id uuid, sender uuid,
    sender_name text, body text, at_ms bigint, kind text, target bigint, reply_to bigint, mentions uuid[], edited_ms bigint,
    deleted boolean
)
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
    select c.slot, c.id, c.created_ms, c.event, c.room_id, c.seq, c.message_id, c.sender, c.sender_name, c.body, c.at_ms,
           m.kind, m.target, m.reply_to, m.mentions, chat._millis(m.edited_at), m.deleted
    from chat.claim_outbox(p_min_age, p_hold, p_limit) c
    left join chat.messages m on m.slot = c.slot and m.room_id = c.room_id and m.seq = c.seq
    order by c.created_ms, c.id
$$;
