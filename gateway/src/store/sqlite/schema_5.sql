-- Requests that changed a room, its members or its mute, by their ids, so that a repeat gets the first answer and does nothing. `asked` is
-- SHA-256 of what was asked; what making a room was answered stands in the other columns.
create table requests (
    room_id blob not null,
    user_id blob not null,
    request_id blob not null,
    asked blob not null,
    created integer,
    last_seq integer,
    delivered_seq integer,
    read_seq integer,
    primary key (room_id, user_id, request_id)
) without rowid;
