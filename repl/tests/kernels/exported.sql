select name, addr, size, object_size, page_order, size > 1000 as large, accounted, ctor_addr, name = 'dentry' or refcount < 0 as special, -size as less where size >= 64 and not (name like 'bio%') or flags has any (ACCOUNT, RECLAIM_ACCOUNT)
select name, objects, slabs, partial, memory where size > 3000 and objects > 0
select name, refcount, size / (object_size - 104) as x, size % 7, -size % 7, (size - 500) / 7, abs(100 - size), greatest(size, 200), least(size, 100 - refcount)
select name, size in (64, 128), name in ('dentry', 'filp'), name not in ('dentry', 'x'), size not in (64, null), name is null, addr & 4095, addr >> 12, ~size, size | 1, size ^ 3
select size where (5 - size) % (100 - size) < -3 or (5 - size) / (100 - size) = 0
select name where addr >> 12 > 5 and (addr & 64) * 2 > 5 or addr & 4095 = 0
select name where name like 'kmalloc%' and not (size < 100 and refcount > 1) is true
select size where (size / (size - 104) > 1) is not true or size * 4294967295 > 0
select size where size * size - size / 0 is null and refcount + 1 > size - 1000
select name, memory, slabs * objects - 100000, objects * -1 * objects where size > 3000
select name as "a,b", size as "x""y?/*" where name = 'a"b\c' or name like 'kmalloc-%' or name in ('task_struct', 'nsproxy')
select size where flags has ACCOUNT or not flags has all (PANIC, HWCACHE_ALIGN)
select size << 50, size << 60, size * size * size * size * size * size * size, 5 - size, size - 9000 < 0, size << (size & 63), (5 - size) >> 1, (5 - size) << 58
select name, objects > -5 as a, -size < objects as b, (slabs ^ -1) > 0 as c, (slabs | -1) >> 4 as d, objects between -size and 18446744073709551615 as e where slabs >= -1
