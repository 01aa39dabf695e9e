-- A cheaper guard: it is on the way of every write.

-- As before, but what a slot that is simply owned costs is one look at its state. Without a search path of its own, which costs more than that
-- to set and to set back: only functions call it that have pinned theirs. The lock is asked for in an expression, which needs no plan; it is
-- a statement of its own all the same, and the next one reads what was committed before the lock was granted.
create or replace function chat._guard(p_slot integer) returns boolean
language plpgsql volatile
as $$
declare
    granted boolean;
    present text;
begin
    if pg_catalog.current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'writes need READ COMMITTED, not %', pg_catalog.current_setting('transaction_isolation')
            using errcode = 'CC004';
    end if;
    granted := pg_catalog.pg_advisory_xact_lock_shared(1128808788, p_slot) is not null;
    select o.state into present from chat.slot_ownership o where o.slot = p_slot;
    if present = 'owned' then
        return false;
    end if;
    return chat._guard_moving(p_slot);
end $$;

-- What is left of the guard for a slot that is on the move, under the lock.
create function chat._guard_moving(p_slot integer) returns boolean
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    o chat.slot_ownership;
begin
    select * into o from chat.slot_ownership where slot = p_slot;
    if o.state = 'migrating' then
        return true;
    elsif o.state = 'fenced' and o.fence_until <= clock_timestamp() and o.timeline = chat._timeline() then
        -- The mover died or was late: the fence has ended by itself.
        return true;
    end if;
    perform chat._refuse(p_slot, o.state, o.peer, o.epoch);
    return false;
end $$;
