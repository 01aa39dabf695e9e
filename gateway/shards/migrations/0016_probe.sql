-- The rooms of the operator's probe, which says something every few seconds for ever.

-- Forgets the entries of a room with one member but for the newest p_keep, and those whose outbox row is still there. No other room ever
-- loses an entry, whoever calls this.
create function chat.trim_room(p_slot integer, p_room uuid, p_keep bigint) returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    log boolean := chat._guard(p_slot);
    newest bigint;
    gone integer;
begin
    -- Locked, so that nobody comes in meanwhile.
    select r.last_seq into newest from chat.rooms r
    where r.slot = p_slot and r.room_id = p_room and r.member_count = 1 for no key update;
    if not found then
        return 0;
    end if;
    with removed as (
        delete from chat.messages m
        where m.slot = p_slot and m.room_id = p_room and m.seq <= newest - p_keep
          and not exists (select from chat.outbox x where x.slot = p_slot and x.room_id = p_room and x.seq = m.seq)
        returning m.seq
    ), noted as (
        insert into chat.slot_changes (slot, kind, key)
        select p_slot, 'message', jsonb_build_array(p_room, r.seq) from removed r where log
    )
    select count(*) into gone from removed;
    return gone;
end $$;
