-- Sessions: one row for each sign-in; ending a session deletes its row. Hashes are SHA-256 of refresh tokens: the present one, and
-- the one before it with what led from it to the present one, for a client that lost the answer.
create table sessions (
    user_id blob not null,
    id blob not null,
    token_hash blob not null,
    previous_hash blob,
    salt blob,
    created_ms integer not null,
    used_ms integer not null,
    expires_ms integer not null,
    ends_ms integer not null,
    user_agent text not null,
    primary key (user_id, id)
) without rowid;
