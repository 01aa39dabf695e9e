-- Entries that change texts, reactions, admins, muted rooms.

alter table messages add column kind text not null default 'text';
alter table messages add column target integer;
alter table messages add column reply_to integer;
-- The ids of those addressed, 16 bytes each, one after the other.
alter table messages add column mentions blob not null default x'';
alter table messages add column edited_ms integer;
alter table messages add column deleted integer not null default 0;
-- SHA-256 of the first body once it is gone.
alter table messages add column first_body blob;
create index messages_by_target on messages (room_id, target) where target is not null;

create table reactions (
    room_id blob not null,
    target integer not null,
    user_id blob not null,
    emoji text not null,
    -- The entry that made it.
    seq integer not null,
    primary key (room_id, target, user_id, emoji)
) without rowid;

-- A check cannot be changed: the table is made anew.
alter table members rename to members_1;
create table members (
    room_id blob not null,
    user_id blob not null,
    name text not null,
    display_name text not null,
    role text not null check (role in ('owner', 'admin', 'member')),
    version integer not null,
    delivered_seq integer not null,
    read_seq integer not null,
    muted_ms integer,
    primary key (room_id, user_id)
) without rowid;
insert into members select room_id, user_id, name, display_name, role, version, delivered_seq, read_seq, null from members_1;
drop table members_1;
