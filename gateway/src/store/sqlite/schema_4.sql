-- Reactions and ends of reactions that changed nothing have no entry; what they were answered with is kept, so that a late repeat gets
-- the same answer. `seq` is the entry that had made the reaction; null: there was no reaction to end.
create table answers (
    room_id blob not null,
    message_id blob not null,
    sender blob not null,
    kind text not null check (kind in ('react', 'unreact')),
    target integer not null,
    emoji text not null,
    seq integer,
    primary key (room_id, message_id)
) without rowid;

-- Users of whom sessions were ended, in that order; the last ones.
create table endings (
    n integer primary key autoincrement,
    user_id blob not null
);
create trigger note_endings after delete on sessions begin
    insert into endings (user_id) values (old.user_id);
    delete from endings where n <= (select max(n) from endings) - 20000;
end;
