-- Removals: a room knows its newest one, and the last ones stand beside the ended sessions.

-- The room's member_version at the newest removal.
alter table rooms add column removal_version integer not null default 0;

-- Where a membership was ended and not a session: of which room, and the member_version that it made.
alter table endings add column room_id blob;
alter table endings add column version integer;
-- The member is deleted before the room's member_version is raised.
create trigger note_removals after delete on members begin
    update rooms set removal_version = member_version + 1 where id = old.room_id;
    insert into endings (user_id, room_id, version)
        select old.user_id, old.room_id, removal_version from rooms where id = old.room_id;
    delete from endings where n <= (select max(n) from endings) - 20000;
end;
