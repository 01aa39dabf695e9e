-- Rows that a source still has of slots are told by itself: who had them next may have given them away, too, and then nobody else knows.

-- As before, and slots that have moved away of which rows are left here. Of what is left in a large table the sample of one count may have
-- nothing; that of the next one is of other pages.
create or replace function chat.slot_sizes() returns table (slot integer, rows bigint, bytes bigint)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    part record;
    percent double precision;
    counts text := 'select null::integer as slot, 0::double precision as rows, 0::double precision as bytes';
begin
    for part in
        select c.relname::text as name, pg_total_relation_size(c.oid) as size,
               -- A table that was never analysed: rows of some hundred bytes.
               case when c.reltuples < 0 then pg_relation_size(c.oid) / 128 else c.reltuples end as about
        from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'slot' and not a.attisdropped
        where c.relnamespace = 'chat'::regnamespace and c.relkind = 'r' and c.relname not in ('slot_ownership', 'slot_changes', 'moves')
    loop
        percent := least(100, 100 * 1000000 / greatest(part.about, 1)::double precision);
        counts := counts || format(
            ' union all select g.slot, g.n * 100 / %s::double precision, %s::double precision * g.n / sum(g.n) over ()'
            ' from (select slot, count(*) as n from chat.%I%s group by slot) g',
            percent, part.size, part.name,
            case when percent < 100 then format(' tablesample system (%s)', percent) else '' end);
    end loop;
    return query execute
        'select o.slot, coalesce(round(sum(c.rows)), 0)::bigint, coalesce(round(sum(c.bytes)), 0)::bigint'
        ' from chat.slot_ownership o left join (' || counts || ') c on c.slot = o.slot'
        ' where chat._readable(o.state) or o.state = ''moved'''
        ' group by o.slot, o.state having chat._readable(o.state) or count(c.slot) > 0 order by o.slot';
end $$;
