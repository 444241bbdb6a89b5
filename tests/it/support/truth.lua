-- Changes streams and reads them, all at one moment. KEYS: the streams to read, or none for all of them. ARGV[1]: commands, in
-- JSON, besides those of Redis: {"ACK", stream, group, count} acknowledges the oldest entries pending, {"DEL-AT", stream, n}
-- deletes the n-th entry. Returns, for each stream that exists: name, XINFO STREAM, the IDs of all entries, XINFO GROUPS, and
-- for each group what XPENDING says of the oldest entry, and XINFO CONSUMERS.
for _, command in ipairs(cjson.decode(ARGV[1])) do
  if command[1] == 'ACK' then
    for _, pending in ipairs(redis.call('XPENDING', command[2], command[3], '-', '+', command[4])) do
      redis.call('XACK', command[2], command[3], pending[1])
    end
  elseif command[1] == 'DEL-AT' then
    local entry = redis.call('XRANGE', command[2], '-', '+', 'COUNT', command[3])[tonumber(command[3])]
    if entry then redis.call('XDEL', command[2], entry[1]) end
  else
    redis.call(unpack(command))
  end
end
local names = KEYS
if #names == 0 then
  local cursor = '0'
  repeat
    local page = redis.call('SCAN', cursor, 'COUNT', 1000, 'TYPE', 'stream')
    cursor = page[1]
    for _, name in ipairs(page[2]) do names[#names + 1] = name end
  until cursor == '0'
end
local found = {}
for _, name in ipairs(names) do
  if redis.call('EXISTS', name) == 1 then
    local ids = redis.call('XRANGE', name, '-', '+')
    for i, entry in ipairs(ids) do ids[i] = entry[1] end
    local groups, of_groups = redis.call('XINFO', 'GROUPS', name), {}
    for i, group in ipairs(groups) do
      of_groups[i] = {redis.call('XPENDING', name, group[2], '-', '+', 1), redis.call('XINFO', 'CONSUMERS', name, group[2])}
    end
    local stream = redis.call('XINFO', 'STREAM', name)
    -- The first and the last entry may be large.
    for i, field in ipairs(stream) do
      if type(field) == 'table' then stream[i] = false end
    end
    found[#found + 1] = {name, stream, ids, groups, of_groups}
  end
end
return found
