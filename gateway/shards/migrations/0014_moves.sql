-- What a mover needs to know of a slot in transit: see the crate chat-shard-protocol, whose rows these are.

-- `timeline` is the source's for every row in transit, and was a fence's alone before. Nothing but a mover makes such rows, and there was
-- none before this schema.
alter table chat.slot_ownership
    -- The number (gen) of the claim that the copy began with: what was copied and logged since is good for later claims, too.
    add column since bigint check (since >= 1),
    -- The destination's own timeline when it made room: on another one, rows that had arrived may be lost.
    add column own_timeline text,
    drop constraint fence_has_a_deadline,
    add constraint fence_has_a_deadline check ((state = 'fenced') = (fence_until is not null)),
    add constraint transit_names_its_claim check ((state = 'owned') = (timeline is null) and (state = 'owned') = (since is null)),
    add constraint an_arrival_has_a_timeline check ((state = 'importing') = (own_timeline is not null));

-- As before, but rows of slots that have moved away, or are yet to come, no longer take the places of rows that may be claimed: a mover
-- leaves them for an hour, and they are the oldest.
create or replace function chat.claim_outbox(p_min_age interval, p_hold interval, p_limit integer)
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
        select x.slot from chat.outbox x join chat.slot_ownership o on o.slot = x.slot and chat._readable(o.state)
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

-- As before, but a shard where the slot is arriving names the one that it comes from: a gateway that has slept through the slot's last move
-- asks where the slot was before that, and would wait there while its owner accepts writes. One that comes from the owner, because the
-- slot has just been handed over, knows a newer epoch than this answer has, and waits here.
create or replace function chat._refuse(p_slot integer, p_state text, p_peer text, p_epoch bigint) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
begin
    case
        when p_state = 'moved' then
            raise exception 'slot % has moved to shard %', p_slot, p_peer
                using errcode = 'CC001', detail = json_build_object('peer', p_peer, 'epoch', p_epoch)::text;
        when p_state = 'importing' and p_peer is not null then
            raise exception 'slot % is arriving from shard %', p_slot, p_peer
                using errcode = 'CC001', detail = json_build_object('peer', p_peer, 'epoch', p_epoch - 1)::text;
        when p_state in ('fenced', 'importing') then
            raise exception 'slot % is %, retry', p_slot, p_state
                using errcode = 'CC002', detail = json_build_object('retry_ms', 20)::text;
        else
            raise exception 'slot % is not owned here', p_slot using errcode = 'CC003';
    end case;
end $$;
