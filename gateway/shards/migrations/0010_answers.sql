-- Two things that were forgotten too soon: what was answered to a reaction that changed nothing, and that a session has ended.

-- Reactions and ends of reactions that changed nothing have no entry in the log. Their ids are kept here, so that a late repeat gets
-- the same answer and does not do what the first one did not.
create table chat.answers (
    slot       integer not null,
    room_id    uuid not null,
    message_id uuid not null,
    sender     uuid not null,
    kind       text not null check (kind in ('react', 'unreact')),
    target     bigint not null,
    emoji      text not null,
    -- The entry that had made the reaction; null: there was no reaction to end.
    seq        bigint,
    primary key (slot, room_id, message_id),
    constraint only_an_end_finds_nothing check (kind = 'unreact' or seq is not null)
);

alter table chat.slot_changes
    drop constraint slot_changes_kind_check,
    add constraint slot_changes_kind_check check (
        kind in ('room', 'member', 'message', 'reaction', 'outbox', 'user', 'user_room', 'session', 'answer'));

-- Stores an edit, a deletion, a reaction or the end of one as an entry of its own and brings the text it names up to date. Repeats
-- are recognised as those of a text are. A reaction that is there already is answered with the entry that made it. The end of one
-- that is not there is answered with a null seq, and not refused, since a refusal would take back that its id was used.
create function chat.change_entry(
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
    answer chat.answers;
    changed chat.messages;
    next bigint;
    gone record;
    idle boolean := false;
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
    select * into answer from chat.answers where slot = p_slot and room_id = p_room and message_id = p_message;
    if found then
        if (answer.sender, answer.kind, answer.target, answer.emoji) <> (p_sender, p_kind, p_target, p_body) then
            raise exception 'the message id was used for another message' using errcode = 'CC107';
        end if;
        return query
        select m.seq, m.sender_name, chat._millis(m.at), true
        from (values (answer.seq)) as a (seq)
        left join chat.messages m on m.slot = p_slot and m.room_id = p_room and m.seq = a.seq;
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
                idle := true;
            elsif (select count(*) from chat.reactions
                where slot = p_slot and room_id = p_room and target = p_target and user_id = p_sender) >= p_max_reactions
            then
                raise exception 'over % reactions', p_max_reactions using errcode = 'CC105', detail = '{"what":"reactions"}';
            else
                insert into chat.reactions (slot, room_id, target, user_id, emoji, seq)
                values (p_slot, p_room, p_target, p_sender, p_body, next);
            end if;
        when 'unreact' then
            delete from chat.reactions
            where slot = p_slot and room_id = p_room and target = p_target and user_id = p_sender and emoji = p_body;
            idle := not found;
    end case;
    if idle then
        insert into chat.answers (slot, room_id, message_id, sender, kind, target, emoji, seq)
        values (p_slot, p_room, p_message, p_sender, p_kind, p_target, p_body, first.seq);
        if log then
            perform chat._log(p_slot, 'answer', jsonb_build_array(p_room, p_message));
        end if;
        return query select first.seq, first.sender_name, chat._millis(first.at), true;
        return;
    end if;
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

-- Gateways of the version before call this one during a rollout. They want to be refused where there is no reaction to end.
create or replace function chat.change_message(
    p_slot integer, p_room uuid, p_message uuid, p_sender uuid, p_kind text, p_target bigint, p_body text, p_outbox uuid,
    p_max_reactions integer
)
returns table (seq bigint, sender_name text, at_ms bigint, duplicate boolean)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    e record;
begin
    select * into e
    from chat.change_entry(p_slot, p_room, p_message, p_sender, p_kind, p_target, p_body, p_outbox, p_max_reactions);
    if e.seq is null then
        raise exception 'no such reaction' using errcode = 'CC108', detail = '{"field":"emoji"}';
    end if;
    return query select e.seq, e.sender_name, e.at_ms, e.duplicate;
end $$;

-- Users of whom sessions were ended within the last minute, for gateways that ask every second. These rows belong to no slot and
-- move with none: they say about whom to ask, and who asks goes to where the user is by then.
create table chat.endings (
    -- A reader remembers the oldest transaction that was running when it looked, and so misses none that commits late.
    xid     bigint not null default (pg_current_xact_id()::text::bigint),
    user_id uuid not null,
    at      timestamptz not null default clock_timestamp(),
    primary key (xid, user_id)
);

-- Notes whose sessions a statement deleted. Not those that a mover clears away after a slot has moved, or before it has come. Takes
-- out more than it puts in, of the oldest, and waits for nobody who does so at the same time.
create function chat._note_endings() returns trigger
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
begin
    insert into chat.endings (user_id)
    select distinct g.user_id from gone g join chat.slot_ownership o on o.slot = g.slot where chat._readable(o.state)
    on conflict do nothing;
    if found then
        delete from chat.endings e
        using (select xid, user_id, at from chat.endings order by xid, user_id limit 20 for update skip locked) oldest
        where e.xid = oldest.xid and e.user_id = oldest.user_id and oldest.at < clock_timestamp() - interval '1 minute';
    end if;
    return null;
end $$;

create trigger note_endings after delete on chat.sessions
referencing old table as gone for each statement execute function chat._note_endings();

-- The users of whom sessions were ended since p_since, which is `next` of the call before; null: none. At most p_limit. Both are read
-- under one snapshot, hence sql and stable.
create function chat.ended_since(p_since bigint, p_limit integer) returns table (next bigint, users uuid[])
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
           array(select e.user_id from chat.endings e where e.xid >= p_since order by e.xid limit p_limit)
$$;
