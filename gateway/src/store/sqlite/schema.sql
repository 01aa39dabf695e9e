-- The embedded store. Ids are the 16 bytes of a UUID, times are milliseconds since 1970.

create table users (
    id blob primary key,
    name text not null,
    display_name text not null,
    password_hash text not null
) without rowid;

-- The list of a user's rooms; `version` keeps an old event from undoing a newer one.
create table user_rooms (
    user_id blob not null,
    room_id blob not null,
    joined integer not null,
    version integer not null,
    primary key (user_id, room_id)
) without rowid;

create table rooms (
    id blob primary key,
    kind text not null check (kind in ('direct', 'group')),
    title text not null,
    created_ms integer not null,
    last_seq integer not null default 0,
    member_version integer not null,
    member_count integer not null
) without rowid;

-- `version` is the room's member_version at which the member joined, so it orders members by their time in the room.
create table members (
    room_id blob not null,
    user_id blob not null,
    name text not null,
    display_name text not null,
    role text not null check (role in ('owner', 'member')),
    version integer not null,
    delivered_seq integer not null,
    read_seq integer not null,
    primary key (room_id, user_id)
) without rowid;

create table messages (
    room_id blob not null,
    seq integer not null,
    message_id blob not null,
    sender blob not null,
    sender_name text not null,
    body text not null,
    at_ms integer not null,
    primary key (room_id, seq)
) without rowid;
create unique index messages_by_id on messages (room_id, message_id);

-- Events that must still be relayed, as JSON of `StoredEvent`.
create table outbox (
    id blob primary key,
    slot integer not null,
    event text not null,
    created_ms integer not null,
    claimed_until_ms integer not null default 0
) without rowid;
create index outbox_by_age on outbox (created_ms);
