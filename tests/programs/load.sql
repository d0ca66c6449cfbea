-- Sorting, hashing, indexes, JSON, a procedure, an error that is caught, a large value.
create table t(a int primary key, b text, c jsonb);
insert into t select i, repeat('x', i % 100), jsonb_build_object('i', i, 'l', array[i, i + 1]) from generate_series(1, 20000) i;
create index on t(b);
select count(*), sum(length(b)), sum((c->>'i')::int) from t;
select length(b), count(*) from t group by 1 order by 1 desc limit 3;
select a.a from t a join t b on a.a = b.a + 1 where a.b > b.b order by a.a desc limit 3;
select md5(string_agg(b, ',' order by a)) from t;
select length(repeat('0123456789', 1000000)), (regexp_matches(repeat('ab', 1000), '(ab)+$'))[1];
do $$ declare n int := 0; begin
	for i in 1 .. 2000 loop
		begin
			insert into t values (i, 'again', null);
		exception when unique_violation then n := n + 1;
		end;
	end loop;
	raise notice '% refused', n;
end $$;
delete from t where a % 3 = 0;
vacuum full analyze t;
select count(*) from t;
