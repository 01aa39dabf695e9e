-- Tables of one shard. Nobody but the owner touches them: gateways call the functions of the later migrations.

create schema if not exists chat;

-- Which database this is. One row. Two shards that point to one database, a database of another cluster, and a
-- changed number of slots are all found here.
create table chat.settings (
    one         boolean primary key default true check (one),
    cluster     text not null,
    shard       text not null,
    shard_id    uuid not null default gen_random_uuid(),
    slots       integer not null check (slots between 1 and 65536),
    -- True once every slot of the cluster has been given to a shard. From then on a slot that no shard owns is an
    -- error, never a gap to be filled: filling it would hide the data of a shard that left the configuration.
    distributed boolean not null default false
);

-- Who may write a slot. The row decides; the advisory lock (class, slot) only orders writers and the mover.
create table chat.slot_ownership (
    slot        integer primary key check (slot >= 0),
    -- This shard's own name, so that the check below can refuse a move onto itself.
    shard       text not null,
    epoch       bigint not null check (epoch >= 1),
    state       text not null check (state in ('owned', 'migrating', 'fenced', 'moved', 'importing')),
    peer        text,
    move_id     uuid,
    gen         bigint not null default 0 check (gen >= 0),
    fence_until timestamptz,
    -- The write-ahead log timeline under which the fence was set: on another one it does not lapse by itself.
    timeline    text,
    constraint peer_is_another_shard check (peer is distinct from shard),
    constraint transit_names_its_move check (state = 'owned' or (peer is not null and move_id is not null)),
    constraint fence_has_a_deadline check ((state = 'fenced') = (fence_until is not null and timeline is not null))
);

-- Keys written while their slot is migrating; the mover reads the current row of each and forgets the key.
create table chat.slot_changes (
    n    bigint generated always as identity primary key,
    slot integer not null,
    kind text not null check (kind in ('room', 'member', 'message', 'outbox', 'user', 'user_room')),
    key  jsonb not null
);
create index slot_changes_by_slot on chat.slot_changes (slot, n);

-- What a move has copied, so that it resumes with the next chunk.
create table chat.move_chunks (
    move_id    uuid not null,
    table_name text not null,
    upto       text not null,
    rows       bigint not null,
    bytes      bigint not null,
    hash       bytea not null,
    primary key (move_id, table_name, upto)
);

-- Every key begins with the slot, so that a slot is one index range to copy, compare and delete.
-- The fill factor leaves room for heap-only updates: last_seq changes with every message.
create table chat.rooms (
    slot           integer not null,
    room_id        uuid not null,
    kind           text not null check (kind in ('direct', 'group')),
    title          text not null check (char_length(title) <= 128),
    last_seq       bigint not null default 0 check (last_seq >= 0),
    member_version bigint not null default 0,
    member_count   integer not null default 0 check (member_count >= 0),
    created_at     timestamptz not null default date_trunc('milliseconds', clock_timestamp()),
    primary key (slot, room_id)
) with (fillfactor = 70);

create table chat.members (
    slot          integer not null,
    room_id       uuid not null,
    user_id       uuid not null,
    name          text not null,
    display_name  text not null,
    role          text not null check (role in ('owner', 'member')),
    -- The room's member_version at which they joined; also the order of joining.
    version       bigint not null,
    delivered_seq bigint not null default 0,
    read_seq      bigint not null default 0,
    primary key (slot, room_id, user_id),
    constraint read_was_delivered check (0 <= read_seq and read_seq <= delivered_seq)
) with (fillfactor = 70);

create table chat.messages (
    slot        integer not null,
    room_id     uuid not null,
    seq         bigint not null check (seq >= 1),
    message_id  uuid not null,
    sender      uuid not null,
    sender_name text not null,
    body        text not null,
    at          timestamptz not null,
    primary key (slot, room_id, seq),
    constraint one_message_per_id unique (slot, room_id, message_id)
);

-- What others must still hear of. A message is named by (room_id, seq) instead of copied; anything else is in event.
create table chat.outbox (
    slot          integer not null,
    id            uuid not null,
    room_id       uuid not null,
    seq           bigint,
    event         jsonb,
    created_at    timestamptz not null default clock_timestamp(),
    claimed_until timestamptz,
    primary key (slot, id),
    constraint message_or_event check ((seq is null) <> (event is null))
);
create index outbox_by_age on chat.outbox (created_at);

create table chat.users (
    slot          integer not null,
    user_id       uuid not null,
    name          text not null,
    display_name  text not null,
    password_hash text not null,
    created_at    timestamptz not null default clock_timestamp(),
    primary key (slot, user_id)
);

-- The rooms a user is in, as the outboxes of the rooms' slots told it. A row of a room that was left stays, since its
-- version keeps an older event from bringing the room back.
create table chat.user_rooms (
    slot    integer not null,
    user_id uuid not null,
    room_id uuid not null,
    joined  boolean not null,
    version bigint not null,
    primary key (slot, user_id, room_id)
);
